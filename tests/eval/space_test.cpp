#include "vlalign/eval/space.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

using vlalign::alignment;
using vlalign::modality_gap;
using vlalign::uniformity;

at::Tensor rows(std::initializer_list<std::array<double, 2>> values) {
  std::vector<double> flat;
  for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat, at::kFloat).view({-1, 2});
}

at::Tensor random_unit_rows(std::int64_t n, std::int64_t d) {
  vlalign::Rng rng({17});
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

TEST(Alignment, IsZeroForEqualAndFourForOppositeEmbeddings) {
  const auto x = rows({{1, 0}, {0, 1}, {0.6, 0.8}});
  EXPECT_NEAR(alignment(x, x), 0.0, 1e-7);
  EXPECT_NEAR(alignment(x, -x), 4.0, 1e-6);
}

TEST(Alignment, IsTwoLessTwoCosines) {
  // cosines 0.6, 0 and -1: 2 - 2 * mean = 2 + 0.8 / 3
  const auto x = rows({{1, 0}, {1, 0}, {1, 0}});
  const auto y = rows({{0.6, 0.8}, {0, 1}, {-1, 0}});
  EXPECT_NEAR(alignment(x, y), 2.0 + 0.8 / 3.0, 1e-6);
}

TEST(Uniformity, OfTwoPointsIsMinusTwiceTheirSquaredDistance) {
  EXPECT_NEAR(uniformity(rows({{1, 0}, {0, 1}})), -4.0, 1e-6);   // squared distance 2
  EXPECT_NEAR(uniformity(rows({{1, 0}, {-1, 0}})), -8.0, 1e-6);  // squared distance 4
}

TEST(Uniformity, OfASquareIsTheMeanOverItsSixPairs) {
  // four sides of squared length 2, two diagonals of squared length 4
  const auto square = rows({{1, 0}, {0, 1}, {-1, 0}, {0, -1}});
  EXPECT_NEAR(uniformity(square), std::log((4.0 * std::exp(-4.0) + 2.0 * std::exp(-8.0)) / 6.0), 1e-6);
}

TEST(Uniformity, IsZeroWhenCollapsedOrAlone) {
  EXPECT_NEAR(uniformity(rows({{0.6, 0.8}, {0.6, 0.8}, {0.6, 0.8}})), 0.0, 2e-6);
  EXPECT_EQ(uniformity(rows({{1, 0}})), 0.0);
}

TEST(Uniformity, CountsAZeroRowAtItsRealDistance) {
  // ||0 - x||^2 = 1, not 2 - 2 cos
  EXPECT_NEAR(uniformity(rows({{1, 0}, {0, 0}})), -2.0, 1e-6);
}

TEST(Uniformity, OfManyBlocksEqualsADoubleLoop) {
  const std::int64_t n = 4100;  // more rows than a block holds
  const auto x = random_unit_rows(n, 3);
  const auto* v = x.const_data_ptr<float>();
  double sum = 0.0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) {
      double squared = 0.0;
      for (std::int64_t k = 0; k < 3; ++k) squared += std::pow(double{v[3 * i + k]} - double{v[3 * j + k]}, 2);
      sum += std::exp(-2.0 * squared);
    }
  }
  EXPECT_NEAR(uniformity(x), std::log(sum / (0.5 * n * (n - 1))), 1e-6);
}

TEST(ModalityGap, IsTheDistanceOfTheCentres) {
  // centres (1/2, 1/2) and (-1, 0): distance sqrt(9/4 + 1/4)
  EXPECT_NEAR(modality_gap(rows({{1, 0}, {0, 1}}), rows({{-1, 0}})), std::sqrt(2.5), 1e-6);
  EXPECT_NEAR(modality_gap(rows({{1, 0}, {-1, 0}}), rows({{0, 1}, {0, -1}})), 0.0, 1e-7);
}

TEST(Space, RefusesWhatIsNotRowsOfFiniteNumbers) {
  const auto x = rows({{1, 0}, {0, 1}});
  EXPECT_THROW(alignment(x, rows({{1, 0}})), vlalign::Error);
  EXPECT_THROW(uniformity(at::tensor({1.0, 0.0})), vlalign::Error);
  EXPECT_THROW(uniformity(at::Tensor()), vlalign::Error);
  EXPECT_THROW(modality_gap(x, at::zeros({0, 2}, at::kFloat)), vlalign::Error);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  try {
    uniformity(rows({{1, 0}, {nan, 1}}));
    FAIL() << "a row that is not a number went through";
  } catch (const vlalign::Error& error) {
    EXPECT_STREQ(error.what(), "[uniformity] x: row 1 is not finite");
  }
}

}  // namespace
