#include "vlalign/nn/rotary.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <numbers>

#include "kernels/rotate_pairs.hpp"

namespace vlalign::nn {
namespace {

// Angles are worked in double: at a coordinate of hundreds a float's rounding of one shows in its sine.

/// temperature^(-i / count), [count].
Tensor frequencies(double temperature, std::int64_t count) {
  return (at::arange(count, at::kDouble) * (-std::log(temperature) / static_cast<double>(count))).exp();
}

/// Where the rows (or columns) of a grid stand, [count].
Tensor coordinates(const RotaryConfig& config, std::int64_t count) {
  const auto steps = at::arange(count, at::kDouble);
  const auto all = static_cast<double>(count);
  if (config.coordinates == RotaryConfig::Coordinates::normalized)
    return ((steps + 0.5) / all * 2 - 1) * (2 * std::numbers::pi);
  const auto scale = config.reference > 0 ? static_cast<double>(config.reference) / all : 1.0;
  return (steps + config.offset) * scale;
}

/// Each pair's angle stands at both its channels.
Rotation of_angles(const Tensor& angles, bool halves) {
  const auto both = halves ? at::cat({angles, angles}, -1) : angles.repeat_interleave(2, -1);
  return {both.cos().to(at::kFloat), both.sin().to(at::kFloat), halves};
}

/// Each channel's partner, the first of a pair with the other sign.
Tensor partners(const Tensor& x, bool halves) {
  if (halves) {
    const auto parts = x.chunk(2, -1);
    return at::cat({-parts[1], parts[0]}, -1);
  }
  const auto pairs = x.unflatten(-1, {-1, 2});
  return at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);
}

struct RotationNode : torch::autograd::Function<RotationNode> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& cosines,
                        const Tensor& sines, bool halves) {
    context->save_for_backward({cosines, sines});
    context->saved_data["halves"] = halves;
    return rotate_pairs(x, cosines, sines, halves, /*back=*/false);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const at::NoGradGuard once;
    const auto saved = context->get_saved_variables();
    const bool halves = context->saved_data["halves"].toBool();
    return {rotate_pairs(upstream[0], saved[0], saved[1], halves, /*back=*/true), Tensor(), Tensor(), Tensor()};
  }
};

Tensor rows_at(const Tensor& table, const Tensor& index) {
  if (table.dim() == 2) return table.index_select(0, index).view({-1, 1, 1, table.size(-1)});
  return table.gather(2, index.view({-1, 1, 1, 1}).expand({-1, 1, 1, table.size(-1)}));
}

}  // namespace

Rotation Rotation::at(const Tensor& index) const {
  if (!defined()) return {};
  return {rows_at(cosines, index), rows_at(sines, index), halves};
}

Rotation Rotation::of(const Tensor& index) const {
  if (!defined()) return {};
  const auto rows = [&](const Tensor& table) {
    return table.index_select(0, index.flatten()).view({index.size(0), 1, index.size(1), -1});
  };
  return {rows(cosines), rows(sines), halves};
}

Rotation Rotation::to(c10::Device device) const {
  return defined() ? Rotation{cosines.to(device), sines.to(device), halves} : Rotation{};
}

Rotation Rotation::behind(std::int64_t places) const {
  if (!defined() || places == 0) return *this;
  const auto shape = std::vector<std::int64_t>{places, cosines.size(-1)};
  return {at::cat({at::ones(shape, cosines.options()), cosines}), at::cat({at::zeros(shape, sines.options()), sines}),
          halves};
}

Tensor rotated(const Tensor& x, const Rotation& rotation) {
  if (!rotation.defined()) return x;
  if (can_rotate_pairs(x)) {
    if (at::GradMode::is_enabled() && x.requires_grad())
      return RotationNode::apply(x, rotation.cosines, rotation.sines, rotation.halves);
    return rotate_pairs(x, rotation.cosines, rotation.sines, rotation.halves, /*back=*/false);
  }
  const auto wide = x.to(rotation.cosines.scalar_type());
  return (wide * rotation.cosines + partners(wide, rotation.halves) * rotation.sines).to(x.scalar_type());
}

Rotation grid_rotation(const RotaryConfig& config, std::int64_t rows, std::int64_t columns, std::int64_t width) {
  const auto bands = frequencies(config.temperature, width / 4);
  const auto along = [&](std::int64_t count) { return coordinates(config, count).unsqueeze(-1) * bands; };
  const std::vector<std::int64_t> shape{rows, columns, width / 4};
  const auto by_row = along(rows).unsqueeze(1).expand(shape), by_column = along(columns).unsqueeze(0).expand(shape);
  const auto angles = config.columns_first ? at::cat({by_column, by_row}, -1) : at::cat({by_row, by_column}, -1);
  return of_angles(angles.flatten(0, 1), config.halves);
}

Rotation line_rotation(double temperature, std::int64_t length, std::int64_t width) {
  return of_angles(at::arange(length, at::kDouble).unsqueeze(-1) * frequencies(temperature, width / 2), false);
}

Rotation KeptGridRotation::operator()(const RotaryConfig& config, std::int64_t rows, std::int64_t columns,
                                      std::int64_t width, std::int64_t prefix, c10::Device device) const {
  const std::lock_guard lock(mutex_);
  if (kept_.defined() && rows_ == rows && columns_ == columns && kept_.cosines.device() == device) return kept_;
  const c10::InferenceMode normal(false);  // training may save what inference made
  kept_ = grid_rotation(config, rows, columns, width).behind(prefix).to(device);
  rows_ = rows;
  columns_ = columns;
  return kept_;
}

}  // namespace vlalign::nn
