#include "vlalign/loss/simclr.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::simclr_test {
namespace {

using test::scalar, test::unit_rows;

ContrastiveBatch batch_of(const at::Tensor& first, const at::Tensor& second) {
  return {.image = first, .text = {}, .logit_scale = scalar(50), .second_image = second};
}

double loss_of(const at::Tensor& first, const at::Tensor& second, SimCLR::Options options = {}) {
  return SimCLR(options).forward(batch_of(first, second)).item<double>();
}

double by_hand(const at::Tensor& first, const at::Tensor& second, double temperature) {
  const auto views = at::cat({first, second});
  const auto logits = test::scaled(1 / temperature, test::products(views, views));
  const auto size = logits.size() / 2;
  double sum = 0;
  for (std::size_t i = 0; i < 2 * size; ++i) {
    std::vector<double> others;
    for (std::size_t k = 0; k < 2 * size; ++k)
      if (k != i) others.push_back(logits[i][k]);
    sum += test::log_sum_exp(others) - logits[i][i < size ? i + size : i - size];
  }
  return sum / static_cast<double>(2 * size);
}

TEST(SimCLR, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7, 300}) {
    const auto first = unit_rows(size, 4), second = unit_rows(size, 4);
    EXPECT_NEAR(loss_of(first, second), by_hand(first, second, 0.1), 1e-10);
    EXPECT_NEAR(loss_of(first, second, {.temperature = 0.5}), by_hand(first, second, 0.5), 1e-10);
  }
}

TEST(SimCLR, HasTheSlopesOfFiniteDifferences) {
  const auto first = unit_rows(5, 4), second = unit_rows(5, 4);
  EXPECT_LT(test::gradient_error({first, second}, [&] { return SimCLR().forward(batch_of(first, second)); }), 1e-7);
}

TEST(SimCLR, IsTheLogOfTheOtherViewsWhenNothingIsTold) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(loss_of(same, same), std::log(15.0), 1e-12);
}

TEST(SimCLR, DoesNotSeeWhichViewCameFirst) {
  const auto first = unit_rows(6, 4), second = unit_rows(6, 4);
  EXPECT_NEAR(loss_of(first, second), loss_of(second, first), 1e-12);
}

TEST(SimCLR, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(4, 8), {}); }), "[SimCLR] second_image: the batch has none");
  EXPECT_EQ(test::message_of<Error>([] { loss_of(unit_rows(4, 8), unit_rows(3, 8)); }),
            "[SimCLR] second_image: expected [4, 8], got [3, 8]");
  EXPECT_EQ(test::message_of<Error>([] { SimCLR({.temperature = 0}); }),
            "[SimCLR] temperature: expected more than 0, got 0");
}

}  // namespace
}  // namespace vlalign::simclr_test
