#include "vlalign/train/adamw.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <functional>

namespace vlalign {
namespace {

bool is_decayed(const std::string& name, const at::Tensor& parameter) {
  return parameter.dim() > 1 && !name.ends_with("positional_embedding") && !name.ends_with("class_embedding");
}

}  // namespace

AdamW::AdamW(const NamedParameters& parameters, const AdamWOptions& options,
             const std::map<std::string, double>& factors)
    : options_(options) {
  std::map<std::pair<double, bool>, Group, std::greater<>> groups;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.requires_grad()) continue;
    const auto found = factors.find(name);
    const double factor = found == factors.end() ? 1.0 : found->second;
    const bool decayed = is_decayed(name, parameter);
    auto& group = groups[{factor, decayed}];
    group.factor = factor;
    group.weight_decay = decayed ? options.weight_decay : 0.0;
    group.names.push_back(name);
    group.parameters.push_back(parameter);
    group.exp_avg.push_back(at::zeros_like(parameter.detach()));
    group.exp_avg_sq.push_back(at::zeros_like(parameter.detach()));
    group.steps.push_back(at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false)));
  }
  for (auto& [key, group] : groups) groups_.push_back(std::move(group));
}

void AdamW::step(double learning_rate) {
  at::NoGradGuard no_grad;
  for (auto& group : groups_) {
    std::vector<at::Tensor> parameters, gradients, exp_avg, exp_avg_sq, steps;
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      const auto& parameter = group.parameters[i];
      const auto& gradient = parameter.grad();
      if (!gradient.defined()) continue;
      parameters.push_back(parameter);
      // The fused kernel walks memory, not indices: a gradient must lie as its parameter does.
      const bool alike = gradient.strides() == parameter.strides();
      gradients.push_back(alike ? gradient : at::empty_like(parameter).copy_(gradient));
      exp_avg.push_back(group.exp_avg[i]);
      exp_avg_sq.push_back(group.exp_avg_sq[i]);
      steps.push_back(group.steps[i] += 1);
    }
    if (parameters.empty()) continue;
    at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, /*max_exp_avg_sqs=*/{}, steps,
                      group.factor * learning_rate, options_.beta1, options_.beta2, group.weight_decay, options_.eps,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
    // The fused operator doesn't count its change as one, and what was made from a parameter would pass for current.
    for (const auto& parameter : parameters) parameter.unsafeGetTensorImpl()->bump_version();
  }
}

void AdamW::zero_grad() {
  for (auto& group : groups_) {
    for (auto& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> all;
  for (const auto& group : groups_) {
    for (const auto& parameter : group.parameters) {
      if (parameter.grad().defined()) all.push_back(parameter.grad());
    }
  }
  return all;
}

at::Tensor AdamW::grad_norm() const {
  const auto all = gradients();
  if (all.empty()) return at::zeros({});
  return at::stack(at::_foreach_norm(all, 2)).norm(2);
}

void AdamW::clip_grad_norm(const at::Tensor& norm, double max_norm) {
  at::NoGradGuard no_grad;
  auto all = gradients();
  at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      state[group.names[i] + ".exp_avg"] = group.exp_avg[i];
      state[group.names[i] + ".exp_avg_sq"] = group.exp_avg_sq[i];
      state[group.names[i] + ".step"] = group.steps[i];
    }
  }
  return state;
}

}  // namespace vlalign
