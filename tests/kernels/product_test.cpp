#include "kernels/product.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "support/processor.hpp"

namespace vlalign::product_test {
namespace {

struct Operands {
  at::Tensor x, w, bias;

  static Operands random(at::IntArrayRef rows, std::int64_t k, std::int64_t n, at::ScalarType dtype) {
    auto shape = rows.vec();
    shape.push_back(k);
    return {at::randn(shape).to(dtype), at::randn({n, k}).to(dtype), at::randn({n}).to(dtype)};
  }

  Operands leaves(at::ScalarType dtype) const {
    const auto leaf = [&](const at::Tensor& t) { return t.detach().to(dtype).clone().requires_grad_(); };
    return {leaf(x), leaf(w), leaf(bias)};
  }
};

/// Rounding of the sums' terms: of float32 over a few thousand terms, or of the result to bfloat16.
double tolerance(at::ScalarType dtype) { return dtype == at::kFloat ? 1e-5 : 1e-2; }

void expect_close(const at::Tensor& got, const at::Tensor& expected, at::ScalarType dtype) {
  ASSERT_EQ(got.sizes(), expected.sizes());
  EXPECT_EQ(got.scalar_type(), dtype);
  const auto largest = expected.abs().max().item<double>();
  EXPECT_LT((got.to(at::kDouble) - expected).abs().max().item<double>(), tolerance(dtype) * largest);
}

class ProductOf : public testing::TestWithParam<at::ScalarType> {};

TEST_P(ProductOf, AndItsGradientsEqualDoublePrecision) {
  for (const auto& rows : {std::vector<std::int64_t>{1}, {50}, {3, 7}, {2, 3, 4}}) {
    const auto inputs = Operands::random(rows, 96, 40, GetParam());
    const auto in = inputs.leaves(GetParam()), wide = inputs.leaves(at::kDouble);
    const auto y = product(in.x, in.w, in.bias), expected = at::linear(wide.x, wide.w, wide.bias);
    expect_close(y.detach(), expected.detach(), GetParam());
    const auto upstream = at::randn(y.sizes()).to(GetParam());
    y.backward(upstream);
    expected.backward(upstream.to(at::kDouble));
    expect_close(in.x.grad(), wide.x.grad(), GetParam());
    expect_close(in.w.grad(), wide.w.grad(), GetParam());
    expect_close(in.bias.grad(), wide.bias.grad(), GetParam());
  }
}

TEST_P(ProductOf, TakesTransposedOperands) {
  const auto a = at::randn({30, 20}).to(GetParam()), b = at::randn({30, 10}).to(GetParam());
  const auto expected = at::linear(a.t().to(at::kDouble), b.t().to(at::kDouble));
  expect_close(product(a.t(), b.t()), expected, GetParam());
}

/// One token of each sequence: rows that lie apart, as operands and as what the gradient is multiplied with.
TEST_P(ProductOf, TakesRowsThatLieApart) {
  const auto tokens = at::randn({6, 5, 8}).to(GetParam()), weights = at::randn({12, 8}).to(GetParam());
  const auto x = tokens.select(1, 0), w = at::cat({weights, weights}, 1).narrow(1, 4, 8).detach().requires_grad_();
  const auto wide = w.detach().to(at::kDouble).requires_grad_();
  const auto y = product(x, w), expected = at::linear(x.to(at::kDouble), wide);
  expect_close(y.detach(), expected.detach(), GetParam());
  y.sum().backward();
  expected.sum().backward();
  expect_close(w.grad(), wide.grad(), GetParam());
}

TEST_P(ProductOf, SendsGradientsOnlyWhereTheyAreWanted) {
  const auto inputs = Operands::random({5}, 8, 6, GetParam());
  auto in = inputs.leaves(GetParam());
  in.w.requires_grad_(false);
  product(in.x, in.w).sum().backward();
  EXPECT_TRUE(in.x.grad().defined());
  EXPECT_FALSE(in.w.grad().defined());
  const at::NoGradGuard no_graph;
  EXPECT_FALSE(product(in.x, in.w, in.bias).requires_grad());
}

/// Shapes that fit the panels for a few rows and shapes that don't, and more rows than a block of them has.
TEST_P(ProductOf, PackedWeightsIsThatOfTheWeights) {
  const at::NoGradGuard no_graph;
  for (const auto& [k, n] : {std::pair{64, 96}, {62, 32}, {64, 40}, {63, 64}}) {
    const auto in = Operands::random({1}, k, n, GetParam());
    const auto w = packed(in.w);
    for (std::int64_t rows = 1; rows < 30; rows += rows < 15 ? 1 : 7) {
      const auto x = at::randn({1, rows, k}).to(GetParam());
      for (const auto& bias : {in.bias, at::Tensor()}) {
        const auto expected = at::linear(x.to(at::kDouble), in.w.to(at::kDouble),
                                         bias.defined() ? std::optional(bias.to(at::kDouble)) : std::nullopt);
        expect_close(product(x, w, bias.defined() ? bias.to(at::kFloat) : bias), expected, GetParam());
      }
    }
  }
}

/// What a batch's size must not change, where oneDNN has AVX-512: with AVX2 it sums otherwise for other numbers of
/// rows. K is as large as where its loop for one row rounds otherwise.
TEST_P(ProductOf, ARowIsTheSameWhateverIsBesideIt) {
  if (!test::has_avx512()) GTEST_SKIP() << "without AVX-512 it need not be";
  const at::NoGradGuard no_graph;
  const auto in = Operands::random({400}, 3072, 96, GetParam());
  const auto w = packed(in.w);
  const auto all = product(in.x, w, in.bias);
  if (w.is_same(in.w)) GTEST_SKIP() << "there are no packed weights here";
  for (const std::int64_t rows : {1, 2, 7, 50})
    EXPECT_TRUE(product(in.x.narrow(0, 0, rows), w, in.bias).equal(all.narrow(0, 0, rows))) << rows;
  EXPECT_TRUE(product(in.x[0], w, in.bias).equal(all[0]));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, ProductOf, testing::Values(at::kFloat, at::kBFloat16));

TEST(Product, OfDoublesAndOfNoRows) {
  const auto in = Operands::random({4}, 8, 6, at::kDouble);
  EXPECT_TRUE(product(in.x, in.w, in.bias).equal(at::linear(in.x, in.w, in.bias)));
  EXPECT_EQ(product(at::randn({0, 8}), at::randn({6, 8})).sizes(), (std::vector<std::int64_t>{0, 6}));
}

}  // namespace
}  // namespace vlalign::product_test
