// Softmax attention without gradients. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace vlalign {

/// As long as one lives, nothing fits_blocks() on its thread: for what is computed without gradients first and with
/// them again, and has to be the same to the bit.
class WithoutBlocks {
 public:
  WithoutBlocks();
  WithoutBlocks(const WithoutBlocks&) = delete;
  WithoutBlocks& operator=(const WithoutBlocks&) = delete;
  ~WithoutBlocks();
};

/// Whether attention_in_blocks() takes these: no gradient is asked for, float32 on a CPU with AVX-512 or bfloat16 on
/// one with AVX-512 BF16, heads of an even width, more keys than LibTorch's kernel is as quick with.
bool fits_blocks(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

/// softmax(scale q k^T + mask) v, [B, H, L, D]: the sums in float32, in bfloat16 the weights rounded to it before they
/// meet v. LibTorch's own kernel calls MKL, whose products are slow on a processor that isn't Intel's
/// (docs/performance.md). The same bits for any number of threads.
///   q: [B, H, L, D], k, v: [B, H, S, D]; mask: broadcast to [B, H, L, S], or undefined; scale: 1 / sqrt(D) without one
at::Tensor attention_in_blocks(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask,
                               std::optional<double> scale);

}  // namespace vlalign
