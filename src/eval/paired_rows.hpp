// Measures over pairs of rows, for captions that share a picture. Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// The rows of two sets that belong together: row i of y with row owner[i] of x, or with row i where `owner` is not
/// defined. Both sets are checked, see checked_rows.
struct PairedRows {
  at::Tensor x;      ///< [N, D1]
  at::Tensor y;      ///< [M, D2]
  at::Tensor owner;  ///< int64 [M], or undefined and N = M
};

/// The measures of space.hpp, without a copy of x that has a row for each of y.
double alignment(const PairedRows& pairs);
double linear_cka(const PairedRows& pairs);

}  // namespace vlalign
