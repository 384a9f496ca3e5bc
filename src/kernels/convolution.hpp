// Convolutions with what follows them in one pass, for inference. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

struct ConvolutionOptions {
  std::int64_t stride = 1, padding = 0, groups = 1;
};

/// What becomes of the sums, behind what is added to them.
enum class ThenApply { nothing, relu, silu, gelu };

/// The same by operators, with a graph where there is one; ReLU writes over y.
at::Tensor applied(at::Tensor y, ThenApply then);

/// The weight [out, in / groups, k, k] in the order in which convolution() reads it fastest for maps of x's size, on a
/// CPU where LibTorch has oneDNN; the weight, channels innermost, elsewhere. Without a graph.
at::Tensor packed_kernel(const at::Tensor& weight, const at::Tensor& x, const ConvolutionOptions& options);

/// then(convolution + bias + added), channels innermost: [B, out, H', W']. Without a graph.
///   x: [B, in, H, W], channels innermost; kernel: packed_kernel()'s, for maps of any size; bias: [out]; added: as the
///   result, or undefined; it is written over where nobody else holds it
at::Tensor convolution(const at::Tensor& x, const at::Tensor& kernel, const at::Tensor& bias,
                       const ConvolutionOptions& options, ThenApply then = ThenApply::nothing, at::Tensor added = {});

}  // namespace vlalign
