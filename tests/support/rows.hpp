#pragma once

#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>

#include <vector>

#include "vlalign/core/normalize.hpp"

namespace vlalign::test {

using Matrix = std::vector<std::vector<double>>;

inline at::Tensor unit_rows(std::int64_t rows, std::int64_t columns, at::ScalarType dtype = at::kDouble) {
  return l2_normalize(at::randn({rows, columns}, dtype));
}

inline at::Tensor scalar(double value, at::ScalarType dtype = at::kDouble) { return at::scalar_tensor(value, dtype); }

/// x_i . y_j, worked in double one number at a time.
inline Matrix products(const at::Tensor& x, const at::Tensor& y) {
  const auto a = x.to(at::kDouble), b = y.to(at::kDouble);
  const auto left = a.accessor<double, 2>(), right = b.accessor<double, 2>();
  Matrix out(static_cast<std::size_t>(left.size(0)), std::vector<double>(static_cast<std::size_t>(right.size(0))));
  for (std::int64_t i = 0; i < left.size(0); ++i) {
    for (std::int64_t j = 0; j < right.size(0); ++j) {
      for (std::int64_t d = 0; d < left.size(1); ++d) out[i][j] += left[i][d] * right[j][d];
    }
  }
  return out;
}

}  // namespace vlalign::test
