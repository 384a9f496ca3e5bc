#include "vlalign/eval/space.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "eval/paired_rows.hpp"
#include "eval/singular_values.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

using vlalign::alignment;
using vlalign::effective_rank;
using vlalign::linear_cka;
using vlalign::modality_gap;
using vlalign::uniformity;

at::Tensor rows(std::initializer_list<std::array<double, 2>> values) {
  std::vector<double> flat;
  for (const auto& row : values) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat, at::kFloat).view({-1, 2});
}

at::Tensor random_unit_rows(std::int64_t n, std::int64_t d, std::uint64_t seed = 17) {
  vlalign::Rng rng({seed});
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

/// A reflection, which is orthogonal: I - 2 v v^T, float64 [d, d].
at::Tensor reflection(std::int64_t d) {
  const auto v = random_unit_rows(1, d, 5).to(at::kDouble)[0];
  return at::eye(d, at::kDouble) - 2.0 / v.dot(v) * at::outer(v, v);
}

TEST(LinearCka, EqualsTheCosineOfTheCentredGramMatrices) {
  // The other form of the definition: <K, L> / (|K| |L|) over all pairs of inputs, K_ij = (x_i - x0) . (x_j - x0).
  const std::int64_t n = 40;
  const auto x = random_unit_rows(n, 7, 1), y = at::cat({x.slice(1, 0, 3), random_unit_rows(n, 2, 2)}, 1);
  const auto gram = [&](const at::Tensor& rows) {
    const auto wide = rows.to(at::kDouble);
    std::vector<double> entries;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < n; ++j)
        entries.push_back((wide[i] - wide.mean(0)).dot(wide[j] - wide.mean(0)).item<double>());
    }
    return entries;
  };
  const auto k = gram(x), l = gram(y);
  double kl = 0, kk = 0, ll = 0;
  for (std::size_t i = 0; i < k.size(); ++i) {
    kl += k[i] * l[i];
    kk += k[i] * k[i];
    ll += l[i] * l[i];
  }
  EXPECT_NEAR(linear_cka(x, y), kl / std::sqrt(kk * ll), 1e-10);
}

TEST(LinearCka, IsOneForWhatIsRotatedScaledAndMoved) {
  const auto x = random_unit_rows(60, 5).to(at::kDouble);
  EXPECT_NEAR(linear_cka(x, 3.0 * at::matmul(x, reflection(5)) + 7.0), 1.0, 1e-12);
}

TEST(LinearCka, IsLessThanOneForWhatIsStretchedInOneDirection) {
  const auto x = random_unit_rows(60, 5).to(at::kDouble);
  const auto stretched = x * at::tensor({1.0, 1.0, 1.0, 1.0, 10.0}, at::kDouble);
  EXPECT_LT(linear_cka(x, stretched), 0.9);
  EXPECT_GT(linear_cka(x, stretched), 0.1);
}

TEST(LinearCka, OfTwoAxesAtRightAnglesIsZero) {
  EXPECT_NEAR(linear_cka(rows({{1, 0}, {-1, 0}, {1, 0}, {-1, 0}}), rows({{1, 0}, {1, 0}, {-1, 0}, {-1, 0}})), 0.0,
              1e-12);
}

TEST(LinearCka, OfManyBlocksEqualsTheFormulaOnWholeMatrices) {
  const auto x = random_unit_rows(9000, 256, 1);
  const auto y = at::cat({x.slice(1, 0, 5), random_unit_rows(9000, 3, 2)}, 1);
  const auto xc = x.to(at::kDouble) - x.to(at::kDouble).mean(0);
  const auto yc = y.to(at::kDouble) - y.to(at::kDouble).mean(0);
  const auto products = [](const at::Tensor& a, const at::Tensor& b) {
    return at::matmul(a.t(), b).norm().item<double>();
  };
  EXPECT_NEAR(linear_cka(x, y), std::pow(products(yc, xc), 2) / (products(xc, xc) * products(yc, yc)), 1e-12);
}

TEST(LinearCka, OfACollapsedTowerIsZeroNotTheLikenessOfItsRounding) {
  const auto x = random_unit_rows(200, 6);
  const auto point = random_unit_rows(1, 6, 3).repeat({200, 1});
  EXPECT_EQ(linear_cka(x, point), 0.0);
  EXPECT_EQ(linear_cka(point, point), 0.0);
  EXPECT_EQ(linear_cka(point + 1e-8 * x, x), 0.0);
  EXPECT_NEAR(linear_cka(point + 1e-3 * x, x), 1.0, 1e-6);
}

TEST(PairedRows, MeasureAsIfEachCaptionHadItsOwnCopyOfThePicture) {
  const auto image = random_unit_rows(5, 4, 1);
  const auto text = random_unit_rows(9, 4, 2);
  const auto owner = at::tensor(std::vector<std::int64_t>{4, 0, 0, 1, 2, 3, 3, 3, 1}, at::kLong);
  const auto copies = image.index_select(0, owner);
  EXPECT_EQ(vlalign::alignment({image, text, owner}), alignment(copies, text));
  EXPECT_NEAR(vlalign::linear_cka({image, text, owner}), linear_cka(copies, text), 1e-12);
}

/// exp of the entropy of sigma / sum + 1e-7
double rank_me(const std::vector<double>& sigma) {
  double sum = 0, entropy = 0;
  for (const auto s : sigma) sum += s;
  for (const auto s : sigma) entropy -= (s / sum + 1e-7) * std::log(s / sum + 1e-7);
  return std::exp(entropy);
}

TEST(EffectiveRank, OfOrthogonalRowsOfOneLengthIsTheirNumber) {
  EXPECT_NEAR(effective_rank(at::eye(8, at::kFloat)), 8.0, 1e-4);
  EXPECT_NEAR(effective_rank(at::eye(8, at::kFloat).repeat({3, 1})), 8.0, 1e-4);
  EXPECT_NEAR(effective_rank(at::eye(3, 8, at::kFloat)), 3.0, 1e-4);  // fewer rows than columns
}

TEST(EffectiveRank, TakesTheSingularValuesNotTheirSquares) {
  // shares 1/2, 1/4, 1/8, 1/8: an entropy of 7/4 bits; squares would have 16/22, 4/22, 1/22, 1/22
  const auto x = at::matmul(at::diag(at::tensor({4.0, 2.0, 1.0, 1.0}, at::kDouble)), reflection(4));
  EXPECT_NEAR(effective_rank(x), std::pow(2.0, 1.75), 1e-4);
  EXPECT_NEAR(effective_rank(x), rank_me({4, 2, 1, 1}), 1e-12);
}

TEST(EffectiveRank, OfACollapsedTowerIsOneAndOfZerosZero) {
  EXPECT_NEAR(effective_rank(random_unit_rows(1, 6).repeat({50, 1})), 1.0, 1e-4);
  EXPECT_EQ(effective_rank(at::zeros({4, 3}, at::kFloat)), 0.0);
}

TEST(EffectiveRank, KeepsSmallSingularValuesThatAGramMatrixLoses) {
  // H S H' with orthonormal columns from Hadamard matrices and S = 1, 1e-2, ... 1e-14, over several blocks of rows.
  const std::int64_t n = 1 << 19;
  const int d = 8;
  auto x = at::empty({n, d}, at::kDouble);
  auto* entry = x.mutable_data_ptr<double>();
  const auto sign = [](std::uint64_t i, std::uint64_t j) { return std::popcount(i & j) % 2 == 0 ? 1.0 : -1.0; };
  const double scale = 1.0 / std::sqrt(static_cast<double>(n) * d);
  std::vector<double> sigma;
  for (int k = 0; k < d; ++k) sigma.push_back(std::pow(10.0, -2 * k));
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(n); ++i) {
    for (std::uint64_t j = 0; j < d; ++j) {
      double sum = 0;
      for (std::uint64_t k = 0; k < d; ++k) sum += sign(i, k) * sigma[k] * sign(k, j);
      *entry++ = scale * sum;
    }
  }
  const auto found = vlalign::singular_values(x);
  ASSERT_EQ(found.size(), sigma.size());
  for (std::size_t k = 0; k < sigma.size(); ++k) EXPECT_NEAR(found[k], sigma[k], 2e-15 + 2e-14 * sigma[k]) << k;
  EXPECT_NEAR(effective_rank(x), rank_me(sigma), 1e-10);
}

TEST(Space, MeasuresHalfPrecisionAsItsValuesInFloat32) {
  const auto x = random_unit_rows(50, 6, 1).to(at::kBFloat16), y = random_unit_rows(50, 6, 2).to(at::kBFloat16);
  const auto wide_x = x.to(at::kFloat), wide_y = y.to(at::kFloat);
  EXPECT_EQ(alignment(x, y), alignment(wide_x, wide_y));
  EXPECT_EQ(uniformity(x), uniformity(wide_x));
  EXPECT_EQ(modality_gap(x, y), modality_gap(wide_x, wide_y));
  EXPECT_EQ(linear_cka(x, y), linear_cka(wide_x, wide_y));
  EXPECT_EQ(effective_rank(x), effective_rank(wide_x));
}

TEST(Space, SaysWhichArgumentIsWrong) {
  const auto x = rows({{1, 0}, {0, 1}});
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              linear_cka(x, rows({{1, 0}}));
            }),
            "[linear_cka] y: expected 2 rows as x, got 1");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              effective_rank(at::zeros({2, 2}, at::kLong));
            }),
            "[effective_rank] x: expected floating [N, D], got Long 2 x 2");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { effective_rank(x / 0.0); }),
            "[effective_rank] x: row 0 is not finite");
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
