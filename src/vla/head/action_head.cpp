#include "vlalign/vla/head/action_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <utility>
#include <vector>

#include "core/check.hpp"

namespace vlalign::vla {

ActionHead::ActionHead(std::string name, std::int64_t width, const ActionShape& shape)
    : name_(std::move(name)), width_(width), shape_(shape) {
  check(width > 0 && shape.horizon > 0 && shape.dims > 0,
        "[{}] expected a width, a horizon and dims of at least 1, got {}, {} and {}", name_, width, shape.horizon,
        shape.dims);
}

Tensor ActionHead::checked_features(const Tensor& features) const {
  check(features.dim() == 2 && features.size(1) == width_, "[{}] features: expected [B, {}], got {}", name_, width_,
        features.sizes());
  return features.scalar_type() == at::kDouble ? features : features.to(at::kFloat);
}

Tensor ActionHead::loss(const Tensor& given, const Tensor& actions, const Tensor& mask,
                        const at::Generator& generator) const {
  const auto features = checked_features(given);
  const std::vector<std::int64_t> expected{features.size(0), shape_.horizon, shape_.dims};
  check(actions.sizes().vec() == expected, "[{}] actions: expected {}, got {}", name_, expected, actions.sizes().vec());
  Target target{.actions = actions.to(features.options().requires_grad(false)), .mask = {}};
  if (mask.defined()) {
    check(mask.scalar_type() == at::kBool && mask.sizes().equals(actions.sizes().slice(0, 2)),
          "[{}] mask: expected bool [{}, {}], got {} {}", name_, expected[0], expected[1],
          c10::toString(mask.scalar_type()), mask.sizes().vec());
    target.mask = mask.to(features.device());
    target.actions = target.actions.masked_fill(~target.mask.unsqueeze(-1), 0.0);
  }
  return loss_of(features, target, generator);
}

Tensor ActionHead::predict(const Tensor& features, const at::Generator& generator) const {
  const at::NoGradGuard no_graph;
  return prediction(checked_features(features), generator);
}

Tensor ActionHead::mean_over_steps(const Tensor& per_step, const Tensor& mask) {
  if (!mask.defined()) return per_step.mean();
  return per_step.masked_fill(~mask, 0.0).sum() / mask.sum().clamp_min(1);
}

}  // namespace vlalign::vla
