// Products of rows with weights in int8. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

constexpr int largest_int8_code = 127;

/// How the numbers of a product's input become bytes, column by column: round(x * scale - centre), cut to [-127, 127].
struct Int8Columns {
  at::Tensor scale;   ///< float32 [K], above 0
  at::Tensor centre;  ///< float32 [K]
};

/// What int8_product() takes of x W^T + b. With codes q of x and a weight V = W / scale, whose row n is rounded to
/// bytes V' times a step s, the product is s (q V') + (b + V centre): the centres cost nothing but another bias.
struct Int8Weight {
  at::Tensor panels;  ///< int8 [N / 32, K / 4, 32, 4]: as the kernels read it
  at::Tensor first;   ///< int32 [N]: what the sums begin with
  at::Tensor step;    ///< float32 [N]
  at::Tensor offset;  ///< float32 [N]: V centre
};

/// Whether a weight [N, K] can be had in int8: on a CPU, N a multiple of 32 and K of 4.
bool fits_int8(const at::Tensor& w);

/// Whether this processor has products of bytes (AVX-512 VNNI, AVX-VNNI or ARM's dot products). Others compute the same
/// sums, and not much faster than in float32.
bool has_int8_products();

/// V of Int8Weight, float32 [N, K], and its rows' steps [N, 1]: the largest number of a row is 127 steps.
struct Int8Rows {
  at::Tensor weight, step;
};
Int8Rows int8_rows(const at::Tensor& w, const Int8Columns& columns);

///   w: float32 [N, K]
Int8Weight to_int8(const at::Tensor& w, const Int8Columns& columns);

/// x W^T + b, without gradients. Sums are exact, so a row's result doesn't depend on the rows beside it or on the
/// number of threads. A row of x with a NaN or an infinity gives a row of NaN.
///   x: float32 or bfloat16 [..., K], on a CPU; bias: [N], or undefined. Returns [..., N] of x's dtype.
at::Tensor int8_product(const at::Tensor& x, const Int8Weight& w, const at::Tensor& bias, const Int8Columns& columns);

/// The same in operators on floats, with ATen's fake_quantize_per_tensor_affine for x and its channel-wise twin for the
/// weight: what a tracer sees.
///   w: float32 [N, K]
at::Tensor int8_product_in_floats(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                                  const Int8Columns& columns);

}  // namespace vlalign
