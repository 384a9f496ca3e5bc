// Products of a few rows with a large bfloat16 matrix, for inference. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// Whether this processor multiplies bfloat16 in one instruction (AVX-512 BF16).
bool has_bf16_products();

/// Whether this processor multiplies bfloat16 (AVX-512 BF16) and the matrix [N, K] has whole panels: N a multiple of
/// 32, K even.
bool fits_panels(const at::Tensor& w);

/// w [N, K] in panels of 32 rows, numbers of two columns side by side: [N / 32, K / 2, 32, 2].
at::Tensor to_panels(const at::Tensor& w);

/// x w^T + bias, [..., N], sums in float32. The matrix streams through the cache once, each panel fetched while the one
/// before is multiplied: a few rows wait for memory more than for the multiplier (docs/performance.md).
///   x: bfloat16 [..., K], panels: of to_panels(w), bias: [N] or undefined
at::Tensor product_with_panels(const at::Tensor& x, const at::Tensor& panels, const at::Tensor& bias);

}  // namespace vlalign
