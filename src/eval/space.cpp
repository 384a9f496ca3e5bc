#include "vlalign/eval/space.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "eval/rows.hpp"

namespace vlalign {
namespace {

/// sum exp(-2 ||x_i - y_j||^2) over the pairs of two blocks, or over i < j within one block.
double gaussian_sum(const at::Tensor& x, const at::Tensor& y, bool same) {
  const auto squares = [](const at::Tensor& rows) { return (rows * rows).sum(1); };  // 1 each, 0 for a zero row
  auto exponents = at::matmul(x, y.t()).mul_(4.0);
  exponents.sub_(squares(x).mul_(2.0).unsqueeze(1)).sub_(squares(y).mul_(2.0).unsqueeze(0));
  exponents.clamp_max_(0.0).exp_();
  if (same) exponents = exponents.triu(1);
  return exponents.sum(at::kDouble).item<double>();
}

}  // namespace

double alignment(const at::Tensor& x, const at::Tensor& y) {
  const auto a = checked_rows(x, "alignment", "x");
  const auto b = checked_rows(y, "alignment", "y");
  check(a.sizes() == b.sizes(), "[alignment] y: expected [{}, {}] as x, got [{}, {}]", a.size(0), a.size(1), b.size(0),
        b.size(1));
  double sum = 0.0;
  for_each_block(a.size(0), block_rows_for(a.size(1)), [&](std::int64_t start, std::int64_t end) {
    const auto difference = a.slice(0, start, end) - b.slice(0, start, end);
    sum += (difference * difference).sum(at::kDouble).item<double>();
  });
  return sum / static_cast<double>(a.size(0));
}

double uniformity(const at::Tensor& x) {
  const auto rows = checked_rows(x, "uniformity", "x");
  const auto n = rows.size(0);
  if (n == 1) return 0.0;
  double sum = 0.0;
  for_each_block(n, std::min<std::int64_t>(4096, block_rows_for(n)), [&](std::int64_t start, std::int64_t end) {
    const auto block = rows.slice(0, start, end);
    sum += gaussian_sum(block, block, /*same=*/true);
    if (end < n) sum += gaussian_sum(block, rows.slice(0, end, n), /*same=*/false);
  });
  return std::log(sum) - std::log(0.5 * static_cast<double>(n) * static_cast<double>(n - 1));
}

double modality_gap(const at::Tensor& x, const at::Tensor& y) {
  const auto a = checked_rows(x, "modality_gap", "x");
  const auto b = checked_rows(y, "modality_gap", "y");
  check(a.size(1) == b.size(1), "[modality_gap] y: expected {} columns as x, got {}", a.size(1), b.size(1));
  return (a.mean(0, false, at::kDouble) - b.mean(0, false, at::kDouble)).norm().item<double>();
}

}  // namespace vlalign
