#include "vlalign/eval/space.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.hpp"
#include "eval/paired_rows.hpp"
#include "eval/rows.hpp"
#include "eval/singular_values.hpp"
#include "kernels/product.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t tile = 2048;

/// [2x, -2 x.x, 1] of a block and [2y, 1, -2 y.y] of another have the products -2 ||x - y||^2, also for rows that are
/// not unit vectors.
at::Tensor exponent_rows(const at::Tensor& block, bool left) {
  const auto x = float_rows(block);
  const auto squares = x.mul(x).sum(1, /*keepdim=*/true).mul(-2.0);
  const auto ones = at::ones_like(squares);
  return at::cat({x.mul(2.0), left ? squares : ones, left ? ones : squares}, 1);
}

double sum_of_exponentials(const at::Tensor& left, const at::Tensor& right, bool above_diagonal) {
  auto values = product(left, right).exp_();
  if (above_diagonal) values = values.triu_(1);
  return values.sum(1).sum(at::kDouble).item<double>();
}

/// Calls visit(x, y) for blocks of rows that belong together, in their own dtypes.
template <typename Visit>
void for_each_block_of(const PairedRows& pairs, Visit visit) {
  const auto width = std::max(pairs.x.size(1), pairs.y.size(1));
  for_each_block(pairs.y.size(0), block_rows_for(2 * width), [&](std::int64_t start, std::int64_t end) {
    visit(pairs.owner.defined() ? pairs.x.index_select(0, pairs.owner.slice(0, start, end))
                                : pairs.x.slice(0, start, end),
          pairs.y.slice(0, start, end));
  });
}

/// The mean row of a set, float64 [D].
at::Tensor mean_row(const at::Tensor& rows) {
  auto sum = at::zeros({rows.size(1)}, rows.options().dtype(at::kDouble));
  for_each_block(rows.size(0), block_rows_for(2 * rows.size(1)), [&](std::int64_t start, std::int64_t end) {
    sum += rows.slice(0, start, end).to(at::kDouble).sum(0);
  });
  return sum / static_cast<double>(rows.size(0));
}

/// Sums over pairs, of x and y less their means x0 and y0.
struct CrossProducts {
  at::Tensor xx, yx, yy;  // float64 [D1, D1], [D2, D1], [D2, D2]
};

CrossProducts centred_products(const PairedRows& pairs, const at::Tensor& x0, const at::Tensor& y0) {
  const auto options = x0.options();
  CrossProducts sums{at::zeros({x0.size(0), x0.size(0)}, options), at::zeros({y0.size(0), x0.size(0)}, options),
                     at::zeros({y0.size(0), y0.size(0)}, options)};
  for_each_block_of(pairs, [&](const at::Tensor& x, const at::Tensor& y) {
    const auto xc = x.to(at::kDouble).sub(x0);
    const auto yc = y.to(at::kDouble).sub(y0);
    sums.xx.addmm_(xc.t(), xc);
    sums.yx.addmm_(yc.t(), xc);
    sums.yy.addmm_(yc.t(), yc);
  });
  return sums;
}

/// Rows that are far from unit length can make sums overflow.
double finite(double result, const char* function) {
  check(std::isfinite(result), "[{}] the result is not finite: expected rows of unit length", function);
  return result;
}

/// Whether the rows are one point but for the rounding of float32. `squares`: the sum of (x - x0)(x - x0)^T over n
/// rows.
bool is_one_point(const at::Tensor& squares, const at::Tensor& x0, std::int64_t n) {
  const double spread = finite(squares.trace().item<double>(), "linear_cka");
  return spread <= 1e-12 * (spread + static_cast<double>(n) * x0.square().sum().item<double>());
}

}  // namespace

double alignment(const PairedRows& pairs) {
  double sum = 0.0;
  for_each_block_of(pairs, [&](const at::Tensor& x, const at::Tensor& y) {
    sum += (float_rows(x) - float_rows(y)).square_().sum(at::kDouble).item<double>();
  });
  return finite(sum / static_cast<double>(pairs.y.size(0)), "alignment");
}

double alignment(const at::Tensor& x, const at::Tensor& y) {
  const PairedRows pairs{checked_rows(x, "alignment", "x"), checked_rows(y, "alignment", "y"), {}};
  check(x.sizes() == y.sizes(), "[alignment] y: expected [{}, {}] as x, got [{}, {}]", x.size(0), x.size(1), y.size(0),
        y.size(1));
  check_device(y, x, "alignment", "y", "x");
  return alignment(pairs);
}

double uniformity(const at::Tensor& x) {
  const auto n = checked_rows(x, "uniformity", "x").size(0);
  if (n == 1) return 0.0;
  double sum = 0.0;  // over i < j
  for_each_block(n, tile, [&](std::int64_t start, std::int64_t end) {
    const auto left = exponent_rows(x.slice(0, start, end), /*left=*/true);
    for (auto first = start; first < n; first += tile) {
      const auto right = exponent_rows(x.slice(0, first, std::min(first + tile, n)), /*left=*/false);
      sum += sum_of_exponentials(left, right, /*above_diagonal=*/first == start);
    }
  });
  return finite(std::log(sum) - std::log(0.5 * static_cast<double>(n) * static_cast<double>(n - 1)), "uniformity");
}

double modality_gap(const at::Tensor& x, const at::Tensor& y) {
  checked_rows(x, "modality_gap", "x");
  checked_rows(y, "modality_gap", "y");
  check(x.size(1) == y.size(1), "[modality_gap] y: expected {} columns as x, got {}", x.size(1), y.size(1));
  check_device(y, x, "modality_gap", "y", "x");
  return finite((mean_row(x) - mean_row(y)).norm().item<double>(), "modality_gap");
}

double linear_cka(const PairedRows& pairs) {
  const auto n = pairs.y.size(0);
  auto x0 = at::zeros({pairs.x.size(1)}, pairs.x.options().dtype(at::kDouble));
  for_each_block_of(pairs, [&](const at::Tensor& x, const at::Tensor&) { x0 += x.to(at::kDouble).sum(0); });
  x0 /= static_cast<double>(n);
  const auto y0 = mean_row(pairs.y);
  const auto products = centred_products(pairs, x0, y0);
  if (is_one_point(products.xx, x0, n) || is_one_point(products.yy, y0, n)) return 0.0;
  return finite((products.yx.square().sum() / (products.xx.norm() * products.yy.norm())).item<double>(), "linear_cka");
}

double linear_cka(const at::Tensor& x, const at::Tensor& y) {
  const PairedRows pairs{checked_rows(x, "linear_cka", "x"), checked_rows(y, "linear_cka", "y"), {}};
  check(x.size(0) == y.size(0), "[linear_cka] y: expected {} rows as x, got {}", x.size(0), y.size(0));
  check_device(y, x, "linear_cka", "y", "x");
  return linear_cka(pairs);
}

double effective_rank(const at::Tensor& x) {
  constexpr double epsilon = 1e-7;
  const auto values = singular_values(checked_rows(x, "effective_rank", "x"));
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  if (total == 0.0) return 0.0;
  double entropy = 0.0;
  for (const auto value : values) {
    const double p = value / total + epsilon;
    entropy -= p * std::log(p);
  }
  return finite(std::exp(entropy), "effective_rank");
}

}  // namespace vlalign
