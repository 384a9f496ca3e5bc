#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace vlalign::nn {

/// The side of a square grid of so many places; none where they make no square.
std::optional<std::int64_t> grid_side(std::int64_t places);

/// Sine and cosine of a grid's places (MoCo v3's fixed positions; Chen et al. 2021), [side^2, W], row by row: a quarter
/// of the width each for the column's sine and cosine, then the row's. width: a multiple of 4.
at::Tensor grid_positions(std::int64_t side, std::int64_t width);

}  // namespace vlalign::nn
