#include "vlalign/train/optimizer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
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
#include <tuple>

#include "core/check.hpp"
#include "train/update_rule.hpp"

namespace vlalign {
namespace {

/// What the towers call their position and class embeddings and registers; BERT's are the next two, T5's the last.
constexpr std::array<std::string_view, 6> undecayed{"positional_embedding",
                                                    "class_embedding",
                                                    "registers",
                                                    "position_embeddings.weight",
                                                    "token_type_embeddings.weight",
                                                    "relative_attention_bias.weight"};

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

/// The first that takes a parameter is its rule.
std::vector<std::unique_ptr<UpdateRule>> rules_of(const OptimizerOptions& options) {
  std::vector<std::unique_ptr<UpdateRule>> rules;
  std::visit([&](const auto& own) { rules.push_back(make_rule(own)); }, options);
  if (const auto* muon = std::get_if<MuonOptions>(&options)) rules.push_back(make_rule(muon->rest));
  return rules;
}

double factor_of(const std::string& name, const std::map<std::string, double>& factors) {
  const auto found = factors.find(name);
  const double factor = found == factors.end() ? 1.0 : found->second;
  check(std::isfinite(factor) && factor >= 0, "[Optimizer] factors: expected 0 or more for {}, got {}", name, factor);
  return factor;
}

struct Member {
  std::string name;
  at::Tensor parameter, count;
  std::vector<Shard> moments;
  at::Tensor dense{};  ///< zeros, kept for sparse gradients, which are laid into them for a step

  at::Tensor dense_gradient() {
    const auto& gradient = merged(parameter);
    if (gradient.is_sparse()) {
      if (!dense.defined()) dense = at::zeros_like(parameter.detach());
      return dense.index_copy_(0, gradient._indices()[0], gradient._values());
    }
    // Operators walk memory, not indices: a gradient must lie as its parameter does.
    return gradient.strides() == parameter.strides() ? gradient : at::empty_like(parameter).copy_(gradient);
  }

  void clear_dense_gradient() const {
    const auto& gradient = parameter.grad();
    if (gradient.is_sparse()) dense.index_fill_(0, gradient._indices()[0], 0);
  }
};

/// Parameters of one rule and one factor on the learning rate, all decayed or all not.
struct Group {
  const UpdateRule* rule = nullptr;
  double factor = 1.0;
  bool decayed = false;
  std::vector<Member> members{};

  /// Of those that have a gradient, a few at a time: what a rule computes aside is no second model then.
  std::vector<GroupStep> steps(double learning_rate) {
    constexpr std::int64_t most = std::int64_t{16} << 20;  // numbers
    std::vector<GroupStep> all;
    std::int64_t count = 0;
    for (auto& member : members) {
      if (!member.parameter.grad().defined()) continue;
      count += member.parameter.numel();
      if (all.empty() || count > most) {
        auto& step = all.emplace_back();
        step.learning_rate = factor * learning_rate;
        step.decayed = decayed;
        step.moments.resize(rule->moments().size());
        count = member.parameter.numel();
      }
      add(member, all.back());
    }
    return all;
  }

  void end_step() const {
    for (const auto& member : members)
      if (member.parameter.grad().defined()) member.clear_dense_gradient();
  }

 private:
  static void add(Member& member, GroupStep& step) {
    const auto& part = member.moments.front();
    step.names.push_back(member.name);
    step.wholes.push_back(member.parameter);
    step.parts.push_back(part);
    step.parameters.push_back(part.own_of(member.parameter));
    step.gradients.push_back(part.own_of(member.dense_gradient()));
    for (std::size_t k = 0; k < member.moments.size(); ++k) step.moments[k].push_back(member.moments[k].own());
    step.counts.push_back(member.count += 1);
  }
};

}  // namespace

struct Optimizer::State {
  Ranks ranks;
  std::vector<std::unique_ptr<UpdateRule>> rules;
  std::vector<Group> groups{};

  Member member(const std::string& name, const at::Tensor& parameter, const UpdateRule& rule) const {
    Member made{.name = name, .parameter = parameter, .count = at::zeros({}, at::kFloat), .moments = {}};
    for (std::size_t k = 0; k < rule.moments().size(); ++k) made.moments.push_back(Shard::zeros_like(parameter, ranks));
    return made;
  }

  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> all;
    for (const auto& group : groups) {
      for (const auto& member : group.members) {
        if (!member.parameter.grad().defined()) continue;
        const auto& gradient = merged(member.parameter);
        all.push_back(gradient.is_sparse() ? gradient._values() : gradient);
      }
    }
    return all;
  }
};

Optimizer::Optimizer(const NamedParameters& parameters, const OptimizerOptions& options,
                     const std::map<std::string, double>& factors, const Ranks& ranks)
    : state_(new State{.ranks = ranks, .rules = rules_of(options)}) {
  std::map<std::tuple<double, bool, std::size_t>, Group, std::greater<>> groups;
  std::set<std::string> names;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.requires_grad()) continue;
    check(names.insert(name).second, "[Optimizer] parameters: {} is there twice", name);
    const double factor = factor_of(name, factors);
    const bool decayed = is_decayed(name, parameter);
    std::size_t which = 0;
    while (!state_->rules[which]->takes(name, parameter)) ++which;
    auto& group = groups[{factor, decayed, which}];
    group.rule = state_->rules[which].get();
    group.factor = factor;
    group.decayed = decayed;
    group.members.push_back(state_->member(name, parameter, *group.rule));
  }
  for (auto& [key, group] : groups) state_->groups.push_back(std::move(group));
}

Optimizer::Optimizer(Optimizer&&) noexcept = default;
Optimizer& Optimizer::operator=(Optimizer&&) noexcept = default;
Optimizer::~Optimizer() = default;

void Optimizer::step(double learning_rate) {
  check(std::isfinite(learning_rate) && learning_rate >= 0,
        "[Optimizer::step] learning_rate: expected 0 or more, got {}", learning_rate);
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> moved;
  for (auto& group : state_->groups) {
    for (const auto& step : group.steps(learning_rate)) {
      group.rule->update(step, state_->ranks);
      moved.insert(moved.end(), step.wholes.begin(), step.wholes.end());
    }
    group.end_step();
  }
  // Not every operator counts its change as one, and what was made from a parameter would pass for current.
  for (const auto& parameter : moved) parameter.unsafeGetTensorImpl()->bump_version();
  share_parts(state_->ranks, moved);
}

void Optimizer::zero_grad() {
  for (auto& group : state_->groups)
    for (auto& member : group.members) member.parameter.mutable_grad().reset();
}

bool Optimizer::moves(const at::Tensor& parameter, double learning_rate) const {
  if (!parameter.grad().defined()) return false;
  return std::any_of(state_->groups.begin(), state_->groups.end(), [&](const Group& group) {
    return group.factor * learning_rate > 0 &&
           std::any_of(group.members.begin(), group.members.end(),
                       [&](const Member& member) { return member.parameter.is_same(parameter); });
  });
}

std::vector<at::Tensor> Optimizer::gradients() const { return state_->gradients(); }

at::Tensor Optimizer::grad_norm() const {
  const auto all = state_->gradients();
  if (all.empty()) return at::zeros({});
  return at::stack(at::_foreach_norm(all, 2)).norm(2);
}

void Optimizer::clip_grad_norm(const at::Tensor& norm, double max_norm) {
  check(std::isfinite(max_norm) && max_norm > 0, "[Optimizer::clip_grad_norm] max_norm: expected more than 0, got {}",
        max_norm);
  at::NoGradGuard no_grad;
  auto all = state_->gradients();
  at::_foreach_mul_(all, (max_norm / (norm + 1e-6)).clamp_max(1.0));
}

NamedShards Optimizer::state() const {
  NamedShards state;
  for (const auto& group : state_->groups) {
    const auto moments = group.rule->moments();
    for (const auto& member : group.members) {
      for (std::size_t k = 0; k < moments.size(); ++k) state.emplace(member.name + "." + moments[k], member.moments[k]);
      if (group.rule->counts()) state.emplace(member.name + ".step", Shard::of_each(member.count, state_->ranks));
    }
  }
  return state;
}

}  // namespace vlalign
