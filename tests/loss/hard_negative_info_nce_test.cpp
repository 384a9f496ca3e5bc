#include "vlalign/loss/hard_negative_info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::hard_negative_info_nce_test {
namespace {

using test::scalar, test::unit_rows;

double loss_of(const at::Tensor& image, const at::Tensor& text, double scale, HardNegativeInfoNCE::Options options) {
  return HardNegativeInfoNCE(options).forward({image, text, scalar(scale)}).item<double>();
}

/// One direction, with the weights written out.
double sum_by_hand(const test::Matrix& cosines, double scale, double beta, double tau_plus) {
  const auto size = cosines.size();
  const double negatives = static_cast<double>(size) - 1;
  double sum = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const double positive = std::exp(scale * cosines[i][i]);
    double mean_weight = 0, weighted = 0;
    for (std::size_t j = 0; j < size; ++j) {
      if (j == i) continue;
      const double negative = std::exp(scale * cosines[i][j]), weight = std::pow(negative, beta);
      mean_weight += weight / negatives;
      weighted += weight * negative;
    }
    double mass = (weighted / mean_weight - tau_plus * negatives * positive) / (1 - tau_plus);
    mass = std::max(mass, negatives * std::exp(-scale));
    sum += -std::log(positive / (positive + mass));
  }
  return sum;
}

double by_hand(const at::Tensor& image, const at::Tensor& text, double scale, double beta, double tau_plus) {
  const auto cosines = test::products(image, text);
  return (sum_by_hand(cosines, scale, beta, tau_plus) + sum_by_hand(test::transposed(cosines), scale, beta, tau_plus)) /
         (2.0 * static_cast<double>(cosines.size()));
}

TEST(HardNegativeInfoNCE, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {2, 3, 9, 520}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    for (const auto& [beta, tau_plus] : {std::pair{1.0, 0.1}, {0.0, 0.3}, {2.5, 0.0}, {0.5, 0.8}}) {
      EXPECT_NEAR(loss_of(image, text, 5, {.beta = beta, .tau_plus = tau_plus}),
                  by_hand(image, text, 5, beta, tau_plus), 1e-8)
          << size << " " << beta << " " << tau_plus;
    }
  }
}

TEST(HardNegativeInfoNCE, IsInfoNCEWithoutWeightsAndFalseNegatives) {
  const auto image = unit_rows(9, 4), text = unit_rows(9, 4);
  EXPECT_NEAR(loss_of(image, text, 14.3, {.beta = 0, .tau_plus = 0}),
              InfoNCE().forward({image, text, scalar(14.3)}).item<double>(), 1e-8);
}

TEST(HardNegativeInfoNCE, GrowsWithTheWeightOfHardNegatives) {
  const auto image = unit_rows(9, 4), text = unit_rows(9, 4);
  EXPECT_LT(loss_of(image, text, 5, {.beta = 0}), loss_of(image, text, 5, {.beta = 1}));
  EXPECT_LT(loss_of(image, text, 5, {.beta = 1}), loss_of(image, text, 5, {.beta = 4}));
}

TEST(HardNegativeInfoNCE, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4), scale = scalar(4.2);
  for (const double tau_plus : {0.0, 0.1, 0.6}) {
    const HardNegativeInfoNCE loss({.tau_plus = tau_plus});
    const auto value = [&] { return loss.forward({image, text, scale}); };
    EXPECT_LT(test::gradient_error({image, text, scale}, value), 1e-6) << tau_plus;
  }
}

TEST(HardNegativeInfoNCE, HasSlopesWhereTheMassOfNegativesIsHeldUp) {
  // Every positive is far above its negatives, so that more than all of them is taken out.
  const auto rows = at::eye(4, at::kDouble), text = at::eye(4, at::kDouble), scale = scalar(3.0);
  const auto value = [&] { return HardNegativeInfoNCE({.tau_plus = 0.5}).forward({rows, text, scale}); };
  EXPECT_NEAR(value().item<double>(), std::log1p(3 * std::exp(-3.0) / std::exp(3.0)), 1e-12);
  EXPECT_LT(test::gradient_error({rows, text, scale}, value), 1e-7);
}

TEST(HardNegativeInfoNCE, StaysFiniteInFloat32AtTheLargestScale) {
  for (const double sign : {1.0, -1.0}) {
    const auto x = unit_rows(16, 8, at::kFloat).requires_grad_();
    const auto scale = scalar(100, at::kFloat).requires_grad_();
    const auto loss = HardNegativeInfoNCE({.beta = 2.0, .tau_plus = 0.2}).forward({x, sign * x, scale});
    loss.backward();
    EXPECT_TRUE(std::isfinite(loss.item<float>()));
    EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
    EXPECT_TRUE(std::isfinite(scale.grad().item<float>()));
  }
}

TEST(HardNegativeInfoNCE, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { HardNegativeInfoNCE({.beta = -1}); }),
            "[HardNegativeInfoNCE] beta: expected 0 or more, got -1");
  EXPECT_EQ(test::message_of<Error>([] { HardNegativeInfoNCE({.tau_plus = 1}); }),
            "[HardNegativeInfoNCE] tau_plus: expected 0 to below 1, got 1");
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(1, 4), unit_rows(1, 4), 1, {}); }),
            "[HardNegativeInfoNCE] image: 1 pair has no negatives; expected at least 2");
}

}  // namespace
}  // namespace vlalign::hard_negative_info_nce_test
