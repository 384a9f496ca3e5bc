#include "vlalign/loss/temperature_free.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::temperature_free_test {
namespace {

using test::scalar, test::unit_rows;

double loss_of(const at::Tensor& image, const at::Tensor& text) {
  return TemperatureFree().forward({image, text, scalar(50)}).item<double>();
}

double by_hand(const at::Tensor& image, const at::Tensor& text) {
  auto logits = test::products(image, text);
  for (auto& row : logits) {
    for (auto& entry : row) entry = std::log((1 + entry) / (1 - entry));
  }
  return (test::sum_of_cross_entropies(logits) + test::sum_of_cross_entropies(test::transposed(logits))) /
         (2.0 * static_cast<double>(logits.size()));
}

TEST(TemperatureFree, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7}) {
    const auto image = unit_rows(size, 4), text = unit_rows(size, 4);
    EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-10);
  }
}

TEST(TemperatureFree, EqualsItsFormulaOverSeveralBlocks) {
  const auto image = unit_rows(2000, 8), text = unit_rows(2000, 8);  // 3 * 2000^2 numbers are two blocks
  EXPECT_NEAR(loss_of(image, text), by_hand(image, text), 1e-9);
}

TEST(TemperatureFree, HasTheSlopesOfFiniteDifferences) {
  const auto image = unit_rows(5, 4), text = unit_rows(5, 4);
  const auto loss = [&] { return TemperatureFree().forward({image, text, scalar(1)}); };
  EXPECT_LT(test::gradient_error({image, text}, loss), 1e-6);
}

TEST(TemperatureFree, IsTheLogOfTheBatchWhenNothingIsTold) {
  const auto same = unit_rows(1, 4).repeat({8, 1});
  EXPECT_NEAR(loss_of(same, same), std::log(8.0), 1e-12);
  const auto nowhere = at::zeros({8, 4}, at::kDouble);
  EXPECT_NEAR(loss_of(nowhere, nowhere), std::log(8.0), 1e-12);
}

TEST(TemperatureFree, HoldsTheLogitOfAPerfectPairAtAboutFourteenAndAHalf) {
  const auto perfect = at::eye(2, at::kDouble);
  EXPECT_NEAR(loss_of(perfect, perfect), std::log1p(std::exp(-std::log(1.999999 / 1e-6))), 1e-12);
}

TEST(TemperatureFree, StaysFiniteInFloat32WhereCosinesAreOne) {
  for (const double sign : {1.0, -1.0}) {
    const auto x = unit_rows(16, 8, at::kFloat).requires_grad_();
    const auto loss = TemperatureFree().forward({x, sign * x, scalar(1, at::kFloat)});
    loss.backward();
    EXPECT_TRUE(std::isfinite(loss.item<float>()));
    EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
  }
}

TEST(TemperatureFree, NamesTheShapeThatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(4, 8), unit_rows(4, 6)); }),
            "[TemperatureFree] text: expected [4, 8], got [4, 6]");
}

}  // namespace
}  // namespace vlalign::temperature_free_test
