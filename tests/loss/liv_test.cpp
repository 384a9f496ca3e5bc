#include "vlalign/loss/liv.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::liv_test {
namespace {

using test::unit_rows;

ContrastiveBatch batch_of(const at::Tensor& frames, const at::Tensor& text) {
  return {.image = {}, .text = text, .logit_scale = test::scalar(50), .frames = frames};
}

double cosine(const at::TensorAccessor<double, 1>& a, const at::TensorAccessor<double, 1>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::int64_t d = 0; d < a.size(0); ++d) ab += a[d] * b[d], aa += a[d] * a[d], bb += b[d] * b[d];
  return ab / std::sqrt(aa * bb);
}

/// VIP's loss with the cosines to the goal for values.
double towards_by_hand(const at::Tensor& frames, const at::Tensor& goal, double gamma) {
  const auto z = frames.accessor<double, 3>();
  const auto g = goal.accessor<double, 2>();
  const auto clips = static_cast<double>(frames.size(0));
  double start = 0;
  std::vector<double> exponents;
  for (std::int64_t i = 0; i < frames.size(0); ++i) {
    double value[3];
    for (std::int64_t f = 0; f < 3; ++f) value[f] = cosine(z[i][f], g[i]) / (1 - gamma);
    start += -value[0] / clips;
    exponents.push_back(-(-1 + gamma * value[2] - value[1]));
  }
  return (1 - gamma) * start + test::log_sum_exp(exponents) - std::log(clips);
}

double by_hand(const at::Tensor& frames, const at::Tensor& text, double gamma) {
  const auto goal = frames.select(1, 3);
  const auto z = frames.accessor<double, 3>();
  const auto t = text.accessor<double, 2>();
  test::Matrix cosines(frames.size(0), std::vector<double>(frames.size(0)));
  for (std::int64_t i = 0; i < frames.size(0); ++i) {
    for (std::int64_t j = 0; j < frames.size(0); ++j) cosines[i][j] = cosine(z[i][3], t[j]);
  }
  const double contrast =
      (test::sum_of_cross_entropies(cosines) + test::sum_of_cross_entropies(test::transposed(cosines))) /
      (2.0 * static_cast<double>(frames.size(0)));
  return towards_by_hand(frames, goal, gamma) + towards_by_hand(frames, text, gamma) + contrast;
}

TEST(LIV, EqualsItsFormulaInDouble) {
  for (const std::int64_t clips : {1, 2, 7}) {
    const auto frames = at::randn({clips, 4, 5}, at::kDouble), text = unit_rows(clips, 5);
    for (const double gamma : {0.0, 0.5, 0.98})
      EXPECT_NEAR(LIV({.gamma = gamma}).forward(batch_of(frames, text)).item<double>(), by_hand(frames, text, gamma),
                  1e-9);
  }
}

TEST(LIV, HasTheSlopesOfFiniteDifferences) {
  const auto frames = at::randn({5, 4, 6}, at::kDouble), text = unit_rows(5, 6);
  const auto loss = [&] { return LIV({.gamma = 0.9}).forward(batch_of(frames, text)); };
  EXPECT_LT(test::gradient_error({frames, text}, loss), 1e-6);
}

TEST(LIV, DoesNotSeeTheLengthOfFrames) {
  const auto frames = at::randn({5, 4, 6}, at::kDouble), text = unit_rows(5, 6);
  EXPECT_NEAR(LIV().forward(batch_of(frames * 3.0, text)).item<double>(),
              LIV().forward(batch_of(frames, text)).item<double>(), 1e-9);
}

TEST(LIV, IsTheSumOfItsThreeFloorsWhereAllIsOne) {
  const auto frames = at::ones({8, 4, 4}, at::kDouble), text = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(LIV().forward(batch_of(frames, text)).item<double>(), 1 + 1 + std::log(8.0), 1e-10);
}

TEST(LIV, StaysFiniteInFloat32WhereTheExponentialWouldNot) {
  auto frames = at::ones({4, 4, 4}, at::kFloat);
  frames.select(1, 2).neg_();  // the next frame points away from the goal, so that the exponent is 100
  frames.requires_grad_();
  const auto loss = LIV().forward(batch_of(frames, at::ones({4, 4}, at::kFloat) / 2.0));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), 2 * (1 + 50 + 0.98 * 50 - 0.02 * 50) + std::log(4.0), 1e-3);
  EXPECT_TRUE(frames.grad().isfinite().all().item<bool>());
}

TEST(LIV, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] {
              LIV().forward(batch_of(at::zeros({4, 4}), unit_rows(4, 8)));
            }),
            "[LIV] frames: expected floating [B, 4, D] (start, one, the next, goal), got Float [4, 4]");
  EXPECT_EQ(test::message_of<Error>([] {
              LIV().forward(batch_of(at::zeros({4, 4, 8}), unit_rows(4, 6)));
            }),
            "[LIV] text: expected [4, 8] as the frames', got [4, 6]");
  EXPECT_EQ(test::message_of<Error>([] { LIV({.gamma = -0.1}); }), "[LIV] gamma: expected 0 to below 1, got -0.1");
}

}  // namespace
}  // namespace vlalign::liv_test
