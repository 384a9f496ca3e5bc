#include "vlalign/loss/semi_hard_triplet.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::semi_hard_triplet_test {
namespace {

using test::scalar, test::unit_rows;

double loss_of(const at::Tensor& image, const at::Tensor& text, const at::Tensor& groups = {}, double margin = 0.2) {
  return SemiHardTriplet({.margin = margin})
      .forward({.image = image, .text = text, .logit_scale = scalar(1), .groups = groups})
      .item<double>();
}

/// One direction, from the paper's rule.
double sum_by_hand(const test::Matrix& cosines, const at::Tensor& groups, double margin) {
  double sum = 0;
  for (std::size_t i = 0; i < cosines.size(); ++i) {
    const double own = 2 - 2 * cosines[i][i];
    std::optional<double> nearest_farther, farthest;
    for (std::size_t j = 0; j < cosines.size(); ++j) {
      const bool same =
          groups.defined() ? groups.data_ptr<std::int64_t>()[i] == groups.data_ptr<std::int64_t>()[j] : i == j;
      if (same) continue;
      const double distance = 2 - 2 * cosines[i][j];
      farthest = std::max(farthest.value_or(distance), distance);
      if (distance > own) nearest_farther = std::min(nearest_farther.value_or(distance), distance);
    }
    if (farthest) sum += std::max(0.0, own - nearest_farther.value_or(*farthest) + margin);
  }
  return sum;
}

double by_hand(const at::Tensor& image, const at::Tensor& text, const at::Tensor& groups = {}, double margin = 0.2) {
  const auto cosines = test::products(image, text);
  return (sum_by_hand(cosines, groups, margin) + sum_by_hand(test::transposed(cosines), groups, margin)) /
         (2.0 * static_cast<double>(cosines.size()));
}

TEST(SemiHardTriplet, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {2, 3, 12}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    const auto groups = at::randint(size / 2 + 1, {size}, at::kLong);
    EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-12);
    EXPECT_NEAR(loss_of(image, text, {}, 0.7), by_hand(image, text, {}, 0.7), 1e-12);
    EXPECT_NEAR(loss_of(image, text, groups), by_hand(image, text, groups), 1e-12);
  }
}

TEST(SemiHardTriplet, EqualsItsFormulaOverSeveralBlocks) {
  const auto image = unit_rows(2000, 3), text = unit_rows(2000, 3);  // 3 * 2000^2 numbers are two blocks
  EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-9);
}

TEST(SemiHardTriplet, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  const auto loss = [&] { return SemiHardTriplet().forward({image, text, scalar(1)}); };
  EXPECT_LT(test::gradient_error({image, text}, loss), 1e-7);
}

at::Tensor at_angles(const std::vector<double>& degrees) {
  std::vector<double> points;
  for (const double angle : degrees) {
    points.push_back(std::cos(angle * 3.14159265358979 / 180));
    points.push_back(std::sin(angle * 3.14159265358979 / 180));
  }
  return at::tensor(points, at::kDouble).reshape({-1, 2});
}

double distance(double degrees) { return 2 - 2 * std::cos(degrees * 3.14159265358979 / 180); }

TEST(SemiHardTriplet, TakesTheFarthestNegativeWhereAllAreNearerThanTheOwn) {
  // Both directions: 90 degrees to the own; image 0 has text 1 at 30, image 1 has text 0 at 150, farther than its own.
  const auto image = at_angles({0, -60}), text = at_angles({90, 30});
  const double image_0 = distance(90) - distance(30) + 0.2, image_1 = 0;  // 150 degrees is past the margin
  const double text_0 = 0, text_1 = distance(90) - distance(30) + 0.2;
  EXPECT_NEAR(loss_of(image, text), (image_0 + image_1 + text_0 + text_1) / 4, 1e-9);
}

TEST(SemiHardTriplet, IsZeroWithoutNegatives) {
  EXPECT_EQ(loss_of(unit_rows(4, 3), unit_rows(4, 3), at::zeros({4}, at::kLong)), 0.0);
}

TEST(SemiHardTriplet, IsTheMarginForACollapsedSpace) {
  const auto same = unit_rows(1, 3).repeat({5, 1});
  EXPECT_NEAR(loss_of(same, same), 0.2, 1e-12);
}

TEST(SemiHardTriplet, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(1, 4), unit_rows(1, 4)); }),
            "[SemiHardTriplet] image: 1 pair has no negatives; expected at least 2");
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(3, 4), unit_rows(3, 4), at::zeros({2}, at::kLong)); }),
            "[SemiHardTriplet] groups: expected int64 [3], got Long [2]");
  EXPECT_EQ(test::message_of<Error>([] { SemiHardTriplet({.margin = 0}); }),
            "[SemiHardTriplet] margin: expected more than 0, got 0");
}

}  // namespace
}  // namespace vlalign::semi_hard_triplet_test
