// Rows in a quarter of their bytes, with how far each may be off. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// Rows x of N rows and D columns as 8-bit codes: x[i, j] is near row_scale[i] column_scale[j] codes[i, j]. A column's
/// scale is its root mean square, because embeddings have a few columns many times larger than all others.
struct CodedRows {
  at::Tensor codes;          ///< int8 [N, D], -127 to 127
  at::Tensor row_scale;      ///< float32 [N]
  at::Tensor column_scale;   ///< float32 [D], above 0
  at::Tensor error;          ///< float32 [N], at least the Euclidean length of what the codes leave of the row
  const void* of = nullptr;  ///< where the rows lie
};

/// rows: float32 [N, D], contiguous, finite, on the CPU
CodedRows coded_rows(const at::Tensor& rows);

/// Throws Error unless shapes, dtypes and signs are as above, for N and D of `rows`.
void check_coded(const CodedRows& coded, const at::Tensor& rows);

}  // namespace vlalign
