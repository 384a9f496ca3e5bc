#pragma once

#include <ATen/core/Tensor.h>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Scales each row to unit length in float32: x / max(||x||, 1e-12), so that a zero row gives zeros, never NaN,
/// in the value and in the gradient.
///   x: [..., D], any floating dtype
/// Returns [..., D] in float32 (float64 for float64), as torch.nn.functional.normalize has it. Throws Error on another
/// x.
VLALIGN_EXPORT at::Tensor l2_normalize(const at::Tensor& x);

}  // namespace vlalign
