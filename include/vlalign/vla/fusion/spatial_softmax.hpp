#pragma once

#include <ATen/core/Tensor.h>

#include "vlalign/core/export.hpp"

namespace vlalign::vla {

/// Where a mass over a map expects to be: [..., H, W] to [..., 2], x and y in [-1, 1] from the left and the top.
VLALIGN_EXPORT at::Tensor expected_place(const at::Tensor& mass);

/// Where each channel's softmax over its map expects its mass (Levine et al. 2016): [B, C, H, W] to [B, 2C], all
/// columns x, then all rows y.
VLALIGN_EXPORT at::Tensor spatial_softmax(const at::Tensor& map);

}  // namespace vlalign::vla
