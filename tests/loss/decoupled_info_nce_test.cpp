#include "vlalign/loss/decoupled_info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::decoupled_info_nce_test {
namespace {

using test::scalar, test::unit_rows;

double loss_of(const at::Tensor& image, const at::Tensor& text, double scale) {
  return DecoupledInfoNCE().forward({image, text, scalar(scale)}).item<double>();
}

TEST(DecoupledInfoNCE, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {2, 3, 7, 600}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    const auto logits = test::scaled(14.3, test::products(image, text));
    const double by_hand = (test::sum_of_decoupled(logits) + test::sum_of_decoupled(test::transposed(logits))) /
                           (2.0 * static_cast<double>(size));
    EXPECT_NEAR(loss_of(image, text, 14.3), by_hand, 1e-10) << size;
  }
}

TEST(DecoupledInfoNCE, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(5, 4), text = unit_rows(5, 4), scale = scalar(3.7);
  const auto loss = [&] { return DecoupledInfoNCE().forward({image, text, scale}); };
  EXPECT_LT(test::gradient_error({image, text, scale}, loss), 1e-7);
}

TEST(DecoupledInfoNCE, IsTheLogOfTheNegativesWhenNothingIsTold) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(loss_of(same, same, 100), std::log(7.0), 1e-12);
}

TEST(DecoupledInfoNCE, GivesInfoNCEByWayOfSoftplus) {
  // Every row has the same logits here, so the rows' relation is the loss's too.
  const auto rows = at::eye(6, at::kDouble);
  const double decoupled = loss_of(rows, rows, 2.5);
  EXPECT_NEAR(decoupled, std::log(5.0) - 2.5, 1e-12);
  EXPECT_NEAR(InfoNCE().forward({rows, rows, scalar(2.5)}).item<double>(), std::log1p(std::exp(decoupled)), 1e-12);
}

TEST(DecoupledInfoNCE, NeedsANegative) {
  const auto message = test::message_of<Error>([] { loss_of(unit_rows(1, 4), unit_rows(1, 4), 1); });
  EXPECT_EQ(message, "[DecoupledInfoNCE] image: 1 pair has no negatives; expected at least 2");
}

}  // namespace
}  // namespace vlalign::decoupled_info_nce_test
