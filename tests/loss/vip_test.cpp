#include "vlalign/loss/vip.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "loss/video.hpp"
#include "support/finite_differences.hpp"
#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::vip_test {
namespace {

ContrastiveBatch batch_of(const at::Tensor& frames) {
  return {.image = {}, .text = {}, .logit_scale = test::scalar(50), .frames = frames};
}

double by_hand(const at::Tensor& frames, double gamma) {
  const auto z = frames.accessor<double, 3>();
  const auto clips = static_cast<double>(frames.size(0));
  double start = 0, mean = 0;
  for (std::int64_t i = 0; i < frames.size(0); ++i) {
    double value[3];
    for (std::int64_t f = 0; f < 3; ++f) {
      double sum = 0;
      for (std::int64_t d = 0; d < frames.size(2); ++d) sum += (z[i][f][d] - z[i][3][d]) * (z[i][f][d] - z[i][3][d]);
      value[f] = -std::sqrt(sum);
    }
    start += -value[0] / clips;
    mean += std::exp(-(-1 + gamma * value[2] - value[1])) / clips;
  }
  return (1 - gamma) * start + std::log(mean);
}

TEST(VIP, EqualsItsFormulaInDouble) {
  for (const std::int64_t clips : {1, 2, 7}) {
    const auto frames = at::randn({clips, 4, 5}, at::kDouble);
    for (const double gamma : {0.0, 0.5, 0.98})
      EXPECT_NEAR(VIP({.gamma = gamma}).forward(batch_of(frames)).item<double>(), by_hand(frames, gamma), 1e-10);
  }
}

TEST(VIP, HasTheSlopesOfFiniteDifferences) {
  const auto frames = at::randn({5, 4, 6}, at::kDouble);
  EXPECT_LT(test::gradient_error({frames}, [&] { return VIP().forward(batch_of(frames)); }), 1e-7);
}

TEST(VIP, IsOneWhereEveryFrameIsAsFarFromTheGoal) {
  const auto frames = at::zeros({3, 4, 2}, at::kDouble);
  EXPECT_NEAR(VIP().forward(batch_of(frames)).item<double>(), 1.0, 1e-12);  // at the goal already
  frames.select(1, 3).fill_(5.0);
  EXPECT_NEAR(VIP().forward(batch_of(frames)).item<double>(), 1.0, 1e-12);
}

TEST(VIP, HasGradientsWhereAFrameIsTheGoal) {
  const auto frames = at::zeros({3, 4, 2}, at::kDouble).requires_grad_();
  VIP().forward(batch_of(frames)).backward();
  EXPECT_TRUE(frames.grad().isfinite().all().item<bool>());
}

TEST(ValueLoss, DoesNotSeeAConstantAddedToAllValues) {
  const auto v = at::randn({3, 6}, at::kDouble);
  const auto loss = [](const at::Tensor& values) {
    return value_loss(values[0], values[1], values[2], 0.98).item<double>();
  };
  EXPECT_NEAR(loss(v + 7.5), loss(v), 1e-12);
}

TEST(ValueLoss, SharesOutOneUnitOfGradientAmongTheClips) {
  const auto v = at::randn({3, 6}, at::kDouble).requires_grad_();
  value_loss(v[0], v[1], v[2], 0.98).backward();
  const auto sums = v.grad().sum(1);
  EXPECT_NEAR(sums[0].item<double>(), -0.02, 1e-12);
  EXPECT_NEAR(sums[1].item<double>(), 1.0, 1e-12);
  EXPECT_NEAR(sums[2].item<double>(), -0.98, 1e-12);
}

TEST(ValueLoss, StaysFiniteInFloat32WhereTheExponentialWouldNot) {
  const auto high = at::full({4}, 50.0, at::kFloat), low = -high;  // the exponent is 100: e^100 is past float32's range
  EXPECT_NEAR(value_loss(low, high, low, 0.98).item<double>(), 1 + 50 + 0.98 * 50 + 0.02 * 50, 1e-4);
}

TEST(VIP, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { VIP().forward(batch_of({})); }), "[VIP] frames: the batch has none");
  EXPECT_EQ(test::message_of<Error>([] {
              VIP().forward(batch_of(at::zeros({4, 3, 8})));
            }),
            "[VIP] frames: expected floating [B, 4, D] (start, one, the next, goal), got Float [4, 3, 8]");
  EXPECT_EQ(test::message_of<Error>([] { VIP({.gamma = 1}); }), "[VIP] gamma: expected 0 to below 1, got 1");
}

}  // namespace
}  // namespace vlalign::vip_test
