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

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>
#include <string_view>

#include "core/check.hpp"
#include "train/option_checks.hpp"

namespace vlalign {
namespace {

/// What the towers call their position and class embeddings; BERT's are the last two.
constexpr std::array<std::string_view, 4> undecayed{"positional_embedding", "class_embedding",
                                                    "position_embeddings.weight", "token_type_embeddings.weight"};

bool is_decayed(std::string_view name, const at::Tensor& parameter) {
  return parameter.dim() > 1 &&
         std::none_of(undecayed.begin(), undecayed.end(), [&](const auto& end) { return name.ends_with(end); });
}

/// A sparse gradient with each row once.
const at::Tensor& merged(const at::Tensor& parameter) {
  auto& gradient = parameter.mutable_grad();
  if (gradient.is_sparse() && !gradient.is_coalesced()) gradient = gradient.coalesce();
  return gradient;
}

}  // namespace

AdamW::AdamW(const NamedParameters& parameters, const AdamWOptions& options,
             const std::map<std::string, double>& factors, const Ranks& ranks)
    : options_(options), ranks_(ranks) {
  check_options(options);
  std::map<std::pair<double, bool>, Group, std::greater<>> groups;
  std::set<std::string> names;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.requires_grad()) continue;
    const auto found = factors.find(name);
    const double factor = found == factors.end() ? 1.0 : found->second;
    check(std::isfinite(factor) && factor >= 0, "[AdamW] factors: expected 0 or more for {}, got {}", name, factor);
    const bool decayed = is_decayed(name, parameter);
    check(names.insert(name).second, "[AdamW] parameters: {} is there twice", name);
    auto& group = groups[{factor, decayed}];
    group.factor = factor;
    group.weight_decay = decayed ? options.weight_decay : 0.0;
    group.names.push_back(name);
    group.parameters.push_back(parameter);
    group.exp_avg.push_back(Shard::zeros_like(parameter, ranks));
    group.exp_avg_sq.push_back(Shard::zeros_like(parameter, ranks));
    group.dense.emplace_back();
    group.steps.push_back(at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false)));
  }
  for (auto& [key, group] : groups) groups_.push_back(std::move(group));
}

void AdamW::step(double learning_rate) {
  check(std::isfinite(learning_rate) && learning_rate >= 0, "[AdamW::step] learning_rate: expected 0 or more, got {}",
        learning_rate);
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> moved;
  for (auto& group : groups_) {
    for (auto& parameter : group.step(learning_rate, options_)) moved.push_back(std::move(parameter));
  }
  share_parts(ranks_, moved);
}

/// Returns those that have a gradient.
std::vector<at::Tensor> AdamW::Group::step(double learning_rate, const AdamWOptions& options) {
  std::vector<at::Tensor> moved, own, gradients, averages, squares, counts;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].grad().defined()) continue;
    moved.push_back(parameters[i]);
    steps[i] += 1;
    const auto& part = exp_avg[i];
    if (part.own().numel() == 0) continue;
    own.push_back(part.own_of(parameters[i]));
    gradients.push_back(part.own_of(dense_gradient(i)));
    averages.push_back(part.own());
    squares.push_back(exp_avg_sq[i].own());
    counts.push_back(steps[i]);
  }
  if (!own.empty())
    at::_fused_adamw_(own, gradients, averages, squares, /*max_exp_avg_sqs=*/{}, counts, factor * learning_rate,
                      options.beta1, options.beta2, weight_decay, options.eps, /*amsgrad=*/false, /*maximize=*/false);
  // The fused operator doesn't count its change as one, and what was made from a parameter would pass for current.
  for (const auto& parameter : moved) parameter.unsafeGetTensorImpl()->bump_version();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& gradient = parameters[i].grad();
    if (gradient.defined() && gradient.is_sparse() && dense[i].defined())
      dense[i].index_fill_(0, gradient._indices()[0], 0);
  }
  return moved;
}

at::Tensor AdamW::Group::dense_gradient(std::size_t i) {
  const auto& parameter = parameters[i];
  const auto& gradient = merged(parameter);
  if (gradient.is_sparse()) {
    if (!dense[i].defined()) dense[i] = at::zeros_like(parameter.detach());
    return dense[i].index_copy_(0, gradient._indices()[0], gradient._values());
  }
  // The fused kernel walks memory, not indices: a gradient must lie as its parameter does.
  return gradient.strides() == parameter.strides() ? gradient : at::empty_like(parameter).copy_(gradient);
}

void AdamW::zero_grad() {
  for (auto& group : groups_) {
    for (auto& parameter : group.parameters) parameter.mutable_grad().reset();
  }
}

bool AdamW::moves(const at::Tensor& parameter, double learning_rate) const {
  if (!parameter.grad().defined()) return false;
  return std::any_of(groups_.begin(), groups_.end(), [&](const Group& group) {
    return group.factor * learning_rate > 0 && std::any_of(group.parameters.begin(), group.parameters.end(),
                                                           [&](const auto& own) { return own.is_same(parameter); });
  });
}

std::vector<at::Tensor> AdamW::gradients() const {
  std::vector<at::Tensor> all;
  for (const auto& group : groups_) {
    for (const auto& parameter : group.parameters) {
      if (!parameter.grad().defined()) continue;
      const auto& gradient = merged(parameter);
      all.push_back(gradient.is_sparse() ? gradient._values() : gradient);
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
  check(std::isfinite(max_norm) && max_norm > 0, "[AdamW::clip_grad_norm] max_norm: expected more than 0, got {}",
        max_norm);
  at::NoGradGuard no_grad;
  auto all = gradients();
  at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
}

NamedShards AdamW::state() const {
  NamedShards state;
  for (const auto& group : groups_) {
    for (std::size_t i = 0; i < group.names.size(); ++i) {
      const auto& name = group.names[i];
      state.emplace(name + ".exp_avg", group.exp_avg[i]);
      state.emplace(name + ".exp_avg_sq", group.exp_avg_sq[i]);
      state.emplace(name + ".step", Shard::of_each(group.steps[i], ranks_));
    }
  }
  return state;
}

}  // namespace vlalign
