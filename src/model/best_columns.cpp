#include "model/best_columns.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/pow.h>

#include <algorithm>
#include <array>
#include <limits>

namespace vlalign {
namespace {

// Of the differences between columns, how much goes into the weight; and how much of the range is kept.
constexpr std::array strengths{0.0, 0.25, 0.5, 0.75, 1.0};
constexpr std::array kept_shares{1.0, 0.8, 0.6};

/// Numbers above 0: those that are too small for a difference are taken for the least that makes one.
at::Tensor made_positive(const at::Tensor& x) {
  constexpr double negligible = 1e-5;
  return x.clamp_min(std::max(x.max().item<double>() * negligible, 1e-20));
}

/// strength: 0 gives all columns of V = W / scale the same largest number, 1 all columns of the input the same range.
Int8Columns columns_with(const at::Tensor& middle, const at::Tensor& reach, const at::Tensor& largest_weight,
                         double strength, double kept) {
  const auto smooth = reach.pow(strength) / largest_weight.pow(1 - strength);
  const auto step = (reach / smooth).max() * (kept / largest_int8_code);
  const auto scale = 1 / (smooth * step);
  return {.scale = scale, .centre = middle * scale};
}

}  // namespace

BestColumns best_columns(const at::Tensor& weight, const InputStatistics& input) {
  const auto middle = (input.least + input.largest) / 2;
  const auto reach = made_positive((input.largest - input.least) / 2);
  const auto largest_weight = made_positive(weight.abs().amax(0));
  const auto exact = at::linear(input.rows, weight);
  const auto size = std::max(exact.square().sum().item<double>(), std::numeric_limits<double>::min());
  BestColumns best{.columns = {}, .error = std::numeric_limits<double>::infinity()};
  for (const auto strength : strengths) {
    for (const auto kept : kept_shares) {
      const auto columns = columns_with(middle, reach, largest_weight, strength, kept);
      const auto y = int8_product(input.rows, to_int8(weight, columns), {}, columns);
      const auto error = (y - exact).square().sum().item<double>() / size;
      if (error < best.error) best = {.columns = columns, .error = error};
    }
  }
  return best;
}

}  // namespace vlalign
