// Products of rows with the rows of a matrix, as fast as this CPU does them. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// x w^T + bias, [..., N]; differentiable once. On a CPU float32 and bfloat16 go through oneDNN, which multiplies
/// float32 about twice as fast as at::linear where that calls MKL on a processor that isn't Intel's
/// (docs/performance.md); everything else is at::linear. Without gradients and with AVX-512 a row of oneDNN's has the
/// same bits whatever rows are beside it.
///   x: [..., K], w: [N, K], of one dtype; or w packed, where no gradient is asked for
///   bias: [N] of any floating dtype, or undefined
at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

/// w in the order in which product() reads it fastest, for weights that are used again and again without gradients: an
/// opaque tensor that only product() takes, or w itself where there is no such order.
///   w: [N, K]
at::Tensor packed(const at::Tensor& w);

}  // namespace vlalign
