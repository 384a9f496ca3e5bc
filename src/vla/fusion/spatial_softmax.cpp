#include "vlalign/vla/fusion/spatial_softmax.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

/// Centres of `count` cells of [-1, 1].
at::Tensor cell_centres(std::int64_t count, const at::TensorOptions& options) {
  const double half_cell = 1.0 / static_cast<double>(count);
  return at::linspace(half_cell - 1, 1 - half_cell, count, options);
}

}  // namespace

at::Tensor expected_place(const at::Tensor& mass) {
  const bool is_map = mass.defined() && mass.dim() >= 2 && mass.is_floating_point() && mass.numel() > 0;
  if (!is_map) fail("[expected_place] mass: expected floating [..., H, W], got {}", shape_of(mass));
  const auto options = mass.options().requires_grad(false);
  const auto x = (mass.sum(-2) * cell_centres(mass.size(-1), options)).sum(-1);
  const auto y = (mass.sum(-1) * cell_centres(mass.size(-2), options)).sum(-1);
  return at::stack({x, y}, -1);
}

at::Tensor spatial_softmax(const at::Tensor& map) {
  check_shape(map, {any, any, any, any}, "spatial_softmax", "map");
  return expected_place(at::softmax(map.flatten(2), 2).view_as(map)).transpose(1, 2).flatten(1);
}

}  // namespace vlalign::vla
