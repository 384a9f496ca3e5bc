#include "nn/grid_positions.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include <cmath>

namespace vlalign::nn {

std::optional<std::int64_t> grid_side(std::int64_t places) {
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(places))));
  if (side * side != places) return std::nullopt;
  return side;
}

at::Tensor grid_positions(std::int64_t side, std::int64_t width) {
  const auto options = at::TensorOptions(at::kDouble);
  const auto exponents = at::arange(width / 4, options) / static_cast<double>(width / 4);
  const auto frequencies = (exponents * -std::log(10000.0)).exp();
  const auto waves = [&](const at::Tensor& place) {
    const auto angles = place.reshape({-1, 1}) * frequencies;
    return at::cat({angles.sin(), angles.cos()}, 1);
  };
  const auto line = at::arange(side, options);
  const auto column = waves(line.expand({side, side})), row = waves(line.view({side, 1}).expand({side, side}));
  return at::cat({column, row}, 1).to(at::kFloat);
}

}  // namespace vlalign::nn
