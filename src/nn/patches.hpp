// Pictures as rows of patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vlalign::nn {

/// pixels: [B, 3, H, W], of which what fills no patch is left out; returns [B, N, 3 P^2] as Patches::pixels has it.
at::Tensor cut_into_patches(const at::Tensor& pixels, std::int64_t patch_size);

}  // namespace vlalign::nn
