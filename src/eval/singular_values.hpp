// Singular values of tall matrices. Internal: Eigen stays out of public headers.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace vlalign {

/// The min(N, D) singular values of rows, largest first: floating [N, D].
std::vector<double> singular_values(const at::Tensor& rows);

}  // namespace vlalign
