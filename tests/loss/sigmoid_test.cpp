#include "vlalign/loss/sigmoid.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/loss_figures.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::sigmoid_test {
namespace {

using test::scalar, test::unit_rows;

ContrastiveBatch random_batch(std::int64_t size) {
  return {
      .image = unit_rows(size, 4), .text = unit_rows(size, 4), .logit_scale = scalar(9.5), .logit_bias = scalar(-4)};
}

double loss_of(const ContrastiveBatch& batch) { return SigmoidLoss().forward(batch).item<double>(); }

/// Each pair a question of its own, which is answered yes with the given probability.
double by_hand(const ContrastiveBatch& batch,
               const std::function<double(std::int64_t i, std::int64_t j)>& probability) {
  const auto cosines = test::products(batch.image, batch.text);
  const double scale = batch.logit_scale.item<double>(), bias = batch.logit_bias.item<double>();
  double sum = 0;
  for (std::size_t i = 0; i < cosines.size(); ++i) {
    for (std::size_t j = 0; j < cosines.size(); ++j) {
      const double logit = scale * cosines[i][j] + bias;
      const double p = probability(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j));
      sum += p * std::log1p(std::exp(-logit)) + (1 - p) * std::log1p(std::exp(logit));
    }
  }
  return sum / static_cast<double>(cosines.size());
}

TEST(SigmoidLoss, EqualsItsFormulaInDouble) {
  for (const std::int64_t size : {1, 2, 7, 600}) {
    const auto batch = random_batch(size);
    EXPECT_NEAR(loss_of(batch), by_hand(batch, [](auto i, auto j) { return i == j ? 1.0 : 0.0; }), 1e-7) << size;
  }
}

TEST(SigmoidLoss, SaysYesToAllPairsOfAGroup) {
  auto batch = random_batch(9);
  batch.groups = at::randint(4, {9}, at::kLong);
  const auto* groups = batch.groups.const_data_ptr<std::int64_t>();
  EXPECT_NEAR(loss_of(batch), by_hand(batch, [&](auto i, auto j) { return groups[i] == groups[j] ? 1.0 : 0.0; }), 1e-7);
}

TEST(SigmoidLoss, TakesSoftTargetsAsProbabilities) {
  auto batch = random_batch(6);
  batch.soft_targets = at::rand({6, 6}, at::kDouble);
  const auto matrix = batch.soft_targets.dense();
  const auto wanted = matrix.accessor<double, 2>();
  EXPECT_NEAR(loss_of(batch), by_hand(batch, [&](auto i, auto j) { return wanted[i][j]; }), 1e-7);
}

TEST(SigmoidLoss, EqualsThePeersLossAndGradients) {
  const auto figures = test::loss_figures();
  const auto batch = test::batch_of_figures();
  const auto loss = SigmoidLoss().forward(batch);
  loss.backward();
  const auto value = figures.at("siglip.value").item<double>();
  EXPECT_NEAR(loss.item<double>(), value, 1e-6 * value);
  EXPECT_TRUE(batch.image.grad().allclose(figures.at("siglip.image_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.text.grad().allclose(figures.at("siglip.text_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.logit_scale.grad().allclose(figures.at("siglip.scale_grad"), 1e-4, 1e-7));
  EXPECT_TRUE(batch.logit_bias.grad().allclose(figures.at("siglip.bias_grad"), 1e-4, 1e-7));
}

TEST(SigmoidLoss, HasTheSlopesOfFiniteDifferences) {
  auto batch = random_batch(5);
  const auto error = [&] {
    return test::gradient_error({batch.image, batch.text, batch.logit_scale, batch.logit_bias},
                                [&] { return SigmoidLoss().forward(batch); });
  };
  EXPECT_LT(error(), 1e-7);
  batch.groups = at::randint(3, {5}, at::kLong);
  EXPECT_LT(error(), 1e-7);
  batch.groups.reset();
  batch.soft_targets = at::rand({5, 5}, at::kDouble);
  EXPECT_LT(error(), 1e-7);
}

TEST(SigmoidLoss, IsTheBatchTimesLogTwoWhereEveryLogitIsZero) {
  auto batch = random_batch(8);
  batch.image = at::zeros({8, 4}, at::kDouble);
  batch.logit_bias = scalar(0);
  EXPECT_NEAR(loss_of(batch), 8 * std::log(2.0), 1e-12);
}

TEST(SigmoidLoss, SeesAShiftOfAllLogits) {
  auto batch = random_batch(8);
  const double before = loss_of(batch);
  batch.logit_bias = scalar(-2);
  EXPECT_GT(std::abs(loss_of(batch) - before), 0.1);
}

TEST(SigmoidLoss, StaysFiniteInFloat32AtTheLargestScale) {
  const auto x = unit_rows(16, 8, at::kFloat).requires_grad_();
  const ContrastiveBatch batch{
      .image = x, .text = -x, .logit_scale = scalar(100, at::kFloat), .logit_bias = scalar(-10, at::kFloat)};
  const auto loss = SigmoidLoss().forward(batch);
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<float>()));
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST(SigmoidLoss, NamesWhatDoesNotFit) {
  auto batch = random_batch(4);
  batch.logit_bias.reset();
  EXPECT_EQ(test::message_of<Error>([&] { loss_of(batch); }), "[SigmoidLoss] logit_bias: expected a scalar []");
}

}  // namespace
}  // namespace vlalign::sigmoid_test
