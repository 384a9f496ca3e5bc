#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "vlalign/config/model_config.hpp"

namespace vlalign::nn {

/// The side of a square grid of so many places; none where they make no square.
std::optional<std::int64_t> grid_side(std::int64_t places);

/// Sine and cosine of a grid's places (MoCo v3's fixed positions; Chen et al. 2021), [side^2, W], row by row: a quarter
/// of the width each for the column's sine and cosine, then the row's. width: a multiple of 4.
at::Tensor grid_positions(std::int64_t side, std::int64_t width);

/// Position embeddings for a grid of another side: unless `how` says otherwise bicubic with antialiasing, as open_clip
/// resizes them (model.py, resize_pos_embed). A fixed matrix times each side of the grid, which has a gradient that is
/// the same each time; that of ATen's own resize isn't on a GPU.
///   positions: float32 or float64 [extra + side^2, W], the first `extra` belonging to tokens without a place
/// Returns [extra + new_side^2, W] of the same dtype.
at::Tensor resize_grid(const at::Tensor& positions, std::int64_t new_side, std::int64_t extra,
                       VitConfig::PositionResize how = VitConfig::PositionResize::bicubic_antialiased);

}  // namespace vlalign::nn
