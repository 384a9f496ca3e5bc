#include "eval/singular_values.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_qr.h>

#include <Eigen/Dense>
#include <algorithm>

#include "eval/rows.hpp"

namespace vlalign {
namespace {

/// R of rows = Q R, float64 [min(N, D), D]. R of the rows so far, put on top of the next block, has the R of both.
/// Unlike the root of X^T X, which loses every singular value below 1e-8 of the largest, it keeps them to about 1e-15;
/// long blocks would cost digits.
at::Tensor triangular_factor(const at::Tensor& rows) {
  const auto block_rows = std::max<std::int64_t>(rows.size(1), 4096);
  at::Tensor r;
  for_each_block(rows.size(0), block_rows, [&](std::int64_t start, std::int64_t end) {
    const auto block = rows.slice(0, start, end).to(at::kDouble);
    r = std::get<1>(at::linalg_qr(r.defined() ? at::cat({r, block}) : block, "r"));
  });
  return r;
}

}  // namespace

std::vector<double> singular_values(const at::Tensor& rows) {
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto r = triangular_factor(rows).cpu().contiguous();
  const Eigen::MatrixXd matrix = Eigen::Map<const Rows>(r.const_data_ptr<double>(), r.size(0), r.size(1));
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(matrix);
  const auto& values = svd.singularValues();
  return {values.begin(), values.end()};
}

}  // namespace vlalign
