#include "kernels/int8_product.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "kernels/int8_tile.hpp"
#include "kernels/thread_count.hpp"

namespace vlalign::int8_product_test {
namespace {

/// Codes of random rows with one panel, summed by a kernel.
struct Tile {
  at::Tensor codes, panel;

  static Tile random(std::int64_t rows, std::int64_t k) {
    return {at::randint(-127, 128, {rows, k}, at::kChar),
            at::randint(-127, 128, {k / int8_group, int8_panel_columns, int8_group}, at::kChar)};
  }

  at::Tensor sums(const Int8Kernel& kernel) const {
    const auto shifted = (codes.to(at::kInt) + kernel.shift).to(at::kChar);
    const auto first = (panel.to(at::kInt).sum(at::IntArrayRef({0, 2})) * -kernel.shift).to(at::kInt);
    const auto sums = at::zeros({codes.size(0), int8_panel_columns}, at::kInt);
    kernel.sum(Int8Tile{.x = shifted.const_data_ptr<std::int8_t>(),
                        .k = codes.size(1),
                        .panel = panel.const_data_ptr<std::int8_t>(),
                        .first = first.const_data_ptr<std::int32_t>(),
                        .sums = sums.mutable_data_ptr<std::int32_t>(),
                        .next = panel.const_data_ptr<std::int8_t>()},
               codes.size(0));
    return sums;
  }

  /// The same by LibTorch, in double precision.
  at::Tensor expected() const {
    const auto matrix = panel.to(at::kDouble).permute({1, 0, 2}).flatten(1);
    return at::matmul(codes.to(at::kDouble), matrix.t()).to(at::kInt);
  }
};

TEST(Int8Kernel, SumsExactlyWhateverTheNumberOfRows) {
  for (const auto* kernel : {&int8_kernel(), &plain_int8_kernel()}) {
    for (std::int64_t rows = 1; rows <= kernel->most_rows; ++rows) {
      for (const std::int64_t k : {4, 8, 36, 768}) {
        const auto tile = Tile::random(rows, k);
        EXPECT_TRUE(tile.sums(*kernel).equal(tile.expected())) << rows << " rows of " << k;
      }
    }
  }
}

/// The largest codes there are, of one sign: what 16 bits would not hold.
TEST(Int8Kernel, SumsTheLargestCodes) {
  for (const int x : {-127, 127}) {
    for (const int w : {-127, 127}) {
      auto tile = Tile::random(1, 64);
      tile.codes.fill_(x);
      tile.panel.fill_(w);
      EXPECT_TRUE(tile.sums(int8_kernel()).equal(tile.expected())) << x << " " << w;
    }
  }
}

/// Rows whose columns have ranges and centres of their own, cut where they are widest.
struct Operands {
  at::Tensor x, w, bias;
  Int8Columns columns;

  static Operands random(std::int64_t rows, std::int64_t k, std::int64_t n) {
    const auto reach = at::rand({k}) * 3 + 0.1, middle = at::randn({k});
    const auto scale = 127 / reach;
    return {.x = middle + reach * (at::rand({rows, k}) * 2 - 1),
            .w = at::randn({n, k}),
            .bias = at::randn({n}),
            .columns = {.scale = scale, .centre = middle * scale}};
  }

  at::Tensor product(const at::Tensor& of) const { return int8_product(of, to_int8(w, columns), bias, columns); }

  /// The triangle inequality: half a step of each number of x and of the weight, of which V has `step`.
  at::Tensor largest_error() const {
    const auto scale = columns.scale.to(at::kDouble), v = w.to(at::kDouble) / scale;
    const auto step = v.abs().amax(1, true) / 127;
    const auto codes = (x.to(at::kDouble) * scale - columns.centre.to(at::kDouble)).abs() + 0.5;
    return 0.5 * v.abs().sum(1) + at::matmul(codes, (0.5 * step).expand_as(v).t());
  }
};

TEST(Int8Product, IsNoFurtherFromTheExactOneThanHalfAStepOfEachNumber) {
  for (const auto& [rows, k, n] : {std::tuple{1, 4, 32}, {7, 64, 96}, {50, 772, 64}}) {
    const auto in = Operands::random(rows, k, n);
    const auto exact = at::linear(in.x.to(at::kDouble), in.w.to(at::kDouble), in.bias.to(at::kDouble));
    const auto error = (in.product(in.x).to(at::kDouble) - exact).abs();
    EXPECT_TRUE((error <= in.largest_error() + 1e-4 * exact.abs().max()).all().item<bool>()) << rows << " " << k;
    EXPECT_GT(error.max().item<double>(), 0);
  }
}

/// LibTorch's rounding of x and of the weight, in float32: a code may differ where a number lies between two.
TEST(Int8Product, EqualsItsTwinInFloats) {
  const auto in = Operands::random(40, 256, 64);
  const auto y = in.product(in.x), twin = int8_product_in_floats(in.x, in.w, in.bias, in.columns);
  const auto size = twin.abs().max().item<double>();
  EXPECT_LT((y - twin).abs().max().item<double>(), 5e-3 * size);
  EXPECT_LT((y - twin).abs().mean().item<double>(), 2e-5 * size);
}

TEST(Int8Product, CutsWhatLiesOutside) {
  auto in = Operands::random(1, 8, 32);
  const auto at_the_end = (127 + in.columns.centre) / in.columns.scale;
  EXPECT_TRUE(in.product(at_the_end.view({1, 8}) * 1e6 + 1e6).equal(in.product(at_the_end.view({1, 8}))));
}

TEST(Int8Product, PassesOnWhatIsNotFinite) {
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const std::int64_t column : {0, 70, 75}) {  // of 76: the last in no whole vector
      auto in = Operands::random(5, 76, 32);
      in.x[3][column] = -bad;
      const auto y = in.product(in.x);
      EXPECT_TRUE(y[3].isnan().all().item<bool>());
      EXPECT_TRUE(y.narrow(0, 0, 3).isfinite().all().item<bool>());
    }
  }
}

TEST(Int8Product, OfARowDoesNotDependOnTheOthersOrOnThreads) {
  const auto in = Operands::random(33, 128, 96);
  at::Tensor alone, all;
  {
    const ThreadCount one(1);
    all = in.product(in.x);
  }
  const ThreadCount two(2);
  EXPECT_TRUE(in.product(in.x).equal(all));
  for (std::int64_t i = 0; i < in.x.size(0); ++i)
    EXPECT_TRUE(in.product(in.x.narrow(0, i, 1)).equal(all.narrow(0, i, 1))) << i;
}

TEST(Int8Product, KeepsTheShapeAndTheTypeOfItsInput) {
  const auto in = Operands::random(12, 64, 32);
  const auto rows = in.x.to(at::kBFloat16);
  const auto y = in.product(rows.view({3, 4, 64}));
  EXPECT_EQ(y.sizes(), (std::vector<std::int64_t>{3, 4, 32}));
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  const auto exact = in.product(rows.to(at::kFloat));
  EXPECT_TRUE(y.view({12, 32}).equal(exact.to(at::kBFloat16)));
  EXPECT_TRUE(in.product(in.x.t().contiguous().t()).equal(in.product(in.x)));
}

}  // namespace
}  // namespace vlalign::int8_product_test
