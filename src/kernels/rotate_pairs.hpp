// Turning pairs of channels, the one thing that rotary positions do.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// Whether rotate_pairs() takes such a tensor: on a CPU, float32 or bfloat16.
bool can_rotate_pairs(const at::Tensor& x);

/// x [B, H, L, d] with each pair of channels (u, v) become (u cos - v sin, v cos + u sin), computed in float32; in x's
/// dtype, contiguous. cosines, sines: float32 [L, d] or [B, 1, L, d], a pair's angle at both its channels. halves: a
/// pair is channels i and i + d / 2, else 2i and 2i + 1. back: by the negative angles, which is the gradient.
at::Tensor rotate_pairs(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, bool halves,
                        bool back);

}  // namespace vlalign
