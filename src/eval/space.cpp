#include "vlalign/eval/space.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "eval/rows.hpp"

namespace vlalign {
namespace {

/// Rows whose products are the exponents: [2x, -2 x.x, 1] . [2y, 1, -2 y.y] = -2 ||x - y||^2, also for rows that are
/// not unit vectors.
struct ExponentRows {
  at::Tensor left, right;  // [N, D + 2]
};

ExponentRows exponent_rows(const at::Tensor& x) {
  const auto squares = x.mul(x).sum(1, /*keepdim=*/true).mul(-2.0);
  const auto ones = at::ones_like(squares);
  const auto twice = x.mul(2.0);
  return {at::cat({twice, squares, ones}, 1), at::cat({twice, ones, squares}, 1)};
}

double sum_of_exponentials(const at::Tensor& left, const at::Tensor& right, bool above_diagonal) {
  auto values = at::matmul(left, right.t()).exp_();
  if (above_diagonal) values = values.triu(1);
  return values.sum(1).sum(at::kDouble).item<double>();
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
  const auto exponents = exponent_rows(rows);
  double sum = 0.0;  // over i < j
  for_each_block(n, std::min<std::int64_t>(4096, block_rows_for(n)), [&](std::int64_t start, std::int64_t end) {
    const auto block = exponents.left.slice(0, start, end);
    sum += sum_of_exponentials(block, exponents.right.slice(0, start, end), /*above_diagonal=*/true);
    if (end < n) sum += sum_of_exponentials(block, exponents.right.slice(0, end, n), /*above_diagonal=*/false);
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
