#include "vlalign/loss/alignment_uniformity.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/finite_differences.hpp"
#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::alignment_uniformity_test {
namespace {

using test::scalar, test::unit_rows;

double squared_distance(const at::Tensor& x, std::int64_t i, const at::Tensor& y, std::int64_t j) {
  const auto a = x.accessor<double, 2>(), b = y.accessor<double, 2>();
  double sum = 0;
  for (std::int64_t d = 0; d < x.size(1); ++d) sum += (a[i][d] - b[j][d]) * (a[i][d] - b[j][d]);
  return sum;
}

double uniformity_by_hand(const at::Tensor& x, double t) {
  double sum = 0, pairs = 0;
  for (std::int64_t i = 0; i < x.size(0); ++i) {
    for (std::int64_t j = i + 1; j < x.size(0); ++j) sum += std::exp(-t * squared_distance(x, i, x, j)), ++pairs;
  }
  return std::log(sum / pairs);
}

double by_hand(const at::Tensor& image, const at::Tensor& text, double weight, double t) {
  double alignment = 0;
  for (std::int64_t i = 0; i < image.size(0); ++i) alignment += squared_distance(image, i, text, i);
  return alignment / static_cast<double>(image.size(0)) +
         weight * (uniformity_by_hand(image, t) + uniformity_by_hand(text, t)) / 2;
}

double loss_of(const at::Tensor& image, const at::Tensor& text, AlignmentUniformity::Options options) {
  return AlignmentUniformity(options).forward({image, text, scalar(50)}).item<double>();
}

TEST(AlignmentUniformity, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {2, 3, 7, 600}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    EXPECT_NEAR(loss_of(image, text, {}), by_hand(image, text, 1, 2), 1e-10);
    EXPECT_NEAR(loss_of(image, text, {.weight = 0.3, .t = 5}), by_hand(image, text, 0.3, 5), 1e-10);
  }
}

TEST(AlignmentUniformity, HasTheSlopesOfFiniteDifferences) {
  // The loss takes the rows' length for 1, so the rows are made unit ones here.
  const auto x = at::randn({5, 4}, at::kDouble), y = at::randn({5, 4}, at::kDouble);
  const auto loss = [&] { return AlignmentUniformity().forward({l2_normalize(x), l2_normalize(y), scalar(1)}); };
  EXPECT_LT(test::gradient_error({x, y}, loss), 1e-7);
}

TEST(AlignmentUniformity, IsZeroForACollapsedSpace) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(loss_of(same, same, {}), 0.0, 1e-12);
}

TEST(AlignmentUniformity, IsLeastForPairsThatAgreeAndLieOpposite) {
  const auto opposite = at::cat({at::eye(1, at::kDouble), -at::eye(1, at::kDouble)});
  EXPECT_NEAR(loss_of(opposite, opposite, {}), -8.0, 1e-12);  // log e^{-2 * 4}
}

TEST(AlignmentUniformity, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(1, 4), unit_rows(1, 4), {}); }),
            "[AlignmentUniformity] image: 1 pair has no negatives; expected at least 2");
  EXPECT_EQ(test::message_of<Error>([] { AlignmentUniformity({.weight = 0}); }),
            "[AlignmentUniformity] weight: expected more than 0, got 0");
  EXPECT_EQ(test::message_of<Error>([] { AlignmentUniformity({.t = -2}); }),
            "[AlignmentUniformity] t: expected more than 0, got -2");
}

}  // namespace
}  // namespace vlalign::alignment_uniformity_test
