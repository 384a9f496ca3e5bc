#include "nn/grid_positions.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <cmath>

#include "core/check.hpp"

namespace vlalign::nn {
namespace {

/// [new_side, side]: times numbers along a line, those of the resized line. Each column is what becomes of a single 1.
at::Tensor resizing_matrix(std::int64_t side, std::int64_t new_side, VitConfig::PositionResize how,
                           const at::TensorOptions& options) {
  const auto ones = at::eye(side, options).view({1, 1, side, side});
  const std::vector<std::int64_t> size{new_side, side};
  const auto resized = [&] {
    switch (how) {
      case VitConfig::PositionResize::bicubic_antialiased:
        return at::_upsample_bicubic2d_aa(ones, size, /*align_corners=*/false);
      case VitConfig::PositionResize::bicubic:
        return at::upsample_bicubic2d(ones, size, /*align_corners=*/false);
      case VitConfig::PositionResize::bilinear_antialiased:
        return at::_upsample_bilinear2d_aa(ones, size, /*align_corners=*/false);
    }
    fail("unknown way to resize positions");
  };
  return resized().view(size);
}

}  // namespace

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

at::Tensor resize_grid(const at::Tensor& positions, std::int64_t new_side, std::int64_t extra,
                       VitConfig::PositionResize how) {
  const auto places = positions.size(0) - extra, width = positions.size(1);
  const auto side = *grid_side(places);
  const auto matrix = resizing_matrix(side, new_side, how, positions.options().requires_grad(false));
  const auto rows = matrix.matmul(positions.narrow(0, extra, places).reshape({side, side * width}));
  const auto grid = matrix.matmul(rows.view({new_side, side, width})).reshape({new_side * new_side, width});
  return at::cat({positions.narrow(0, 0, extra), grid});
}

}  // namespace vlalign::nn
