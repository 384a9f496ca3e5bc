#include "vlalign/vla/head/action_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <utility>
#include <vector>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {

ActionHead::ActionHead(std::string name, std::int64_t width, const ActionShape& shape)
    : name_(std::move(name)), width_(width), shape_(shape) {
  check(width > 0 && shape.horizon > 0 && shape.dims > 0,
        "[{}] expected a width, a horizon and dims of at least 1, got {}, {} and {}", name_, width, shape.horizon,
        shape.dims);
  check_size(width, name_, "width");
  check_size(shape.horizon, name_, "horizon");
  check_size(shape.dims, name_, "dims");
  check_size(shape.horizon * shape.dims, name_, "horizon times dims");
}

Tensor ActionHead::checked_features(const Tensor& features) const {
  if (!has_shape(features, {any, width_}))
    fail("[{}] features: expected [B, {}], got {}", name_, width_, shape_of(features));
  return features.scalar_type() == at::kDouble ? features : features.to(at::kFloat);
}

Tensor ActionHead::loss(const Tensor& given, const Tensor& actions, const Tensor& mask,
                        const at::Generator& generator) const {
  const auto features = checked_features(given);
  const std::vector<std::int64_t> expected{features.size(0), shape_.horizon, shape_.dims};
  if (!has_shape(actions, expected)) fail("[{}] actions: expected {}, got {}", name_, expected, shape_of(actions));
  Target target{.actions = actions.to(features.options().requires_grad(false)), .mask = {}};
  if (mask.defined()) {
    check(mask.scalar_type() == at::kBool && mask.sizes().equals(actions.sizes().slice(0, 2)),
          "[{}] mask: expected bool [{}, {}], got {} {}", name_, expected[0], expected[1],
          c10::toString(mask.scalar_type()), mask.sizes().vec());
    target.mask = mask.to(features.device());
    target.actions = target.actions.masked_fill(~target.mask.unsqueeze(-1), 0.0);
  }
  const auto loss = loss_of(features, target, generator);
  check(loss.defined() && loss.dim() == 0, "[{}] loss_of(): expected a scalar", name_);
  // Bins and phrases would make something finite of an action that isn't.
  return loss + target.actions.sum() * 0;
}

Tensor ActionHead::predict(const Tensor& features, const at::Generator& generator) const {
  const at::NoGradGuard no_graph;
  const auto actions = prediction(checked_features(features), generator);
  check_shape(actions, {features.size(0), shape_.horizon, shape_.dims}, name_, "prediction()");
  return actions;
}

Tensor ActionHead::mean_over_steps(const Tensor& per_step, const Tensor& mask) {
  if (!mask.defined()) return per_step.mean();
  return per_step.masked_fill(~mask, 0.0).sum() / mask.sum().clamp_min(1);
}

}  // namespace vlalign::vla
