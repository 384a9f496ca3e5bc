#include "vlalign/loss/time_contrastive.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/by_hand.hpp"
#include "support/finite_differences.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::time_contrastive_test {
namespace {

using test::unit_rows;

ContrastiveBatch batch_of(const at::Tensor& frames, const at::Tensor& text = {}) {
  return {.image = {}, .text = text, .logit_scale = test::scalar(50), .frames = frames};
}

double loss_of(const at::Tensor& frames, TimeContrastive::Options options) {
  return TimeContrastive(std::move(options)).forward(batch_of(frames)).item<double>();
}

/// s of frame f of clip i and frame g of clip j.
double similarity(const at::Tensor& frames, std::int64_t i, std::int64_t f, std::int64_t j, std::int64_t g) {
  const auto z = frames.accessor<double, 3>();
  double sum = 0;
  for (std::int64_t d = 0; d < frames.size(2); ++d) sum += (z[i][f][d] - z[j][g][d]) * (z[i][f][d] - z[j][g][d]);
  return -std::sqrt(sum);
}

double time_contrast_by_hand(const at::Tensor& frames) {
  const auto clips = frames.size(0);
  double sum = 0;
  for (std::int64_t i = 0; i < clips; ++i) {
    const double s01 = similarity(frames, i, 0, i, 1), s12 = similarity(frames, i, 1, i, 2),
                 s02 = similarity(frames, i, 0, i, 2);
    std::vector<double> to_last{s12, s02}, to_first{s01, s02};
    for (std::int64_t j = 0; j < clips; ++j) {
      if (j == i) continue;
      to_last.push_back(similarity(frames, i, 2, j, 2));
      to_first.push_back(similarity(frames, i, 0, j, 0));
    }
    sum += (test::log_sum_exp(to_last) - s12 + test::log_sum_exp(to_first) - s01) / 2;
  }
  return sum / static_cast<double>(clips);
}

double lengths_by_hand(const at::Tensor& frames, double l1, double l2) {
  const auto z = frames.accessor<double, 3>();
  double sum = 0;
  for (std::int64_t i = 0; i < frames.size(0); ++i) {
    for (std::int64_t f = 0; f < 3; ++f) {
      double absolute = 0, squares = 0;
      for (std::int64_t d = 0; d < frames.size(2); ++d)
        absolute += std::abs(z[i][f][d]), squares += z[i][f][d] * z[i][f][d];
      sum += l1 * absolute + l2 * std::sqrt(squares);
    }
  }
  return sum / static_cast<double>(3 * frames.size(0));
}

/// G(first, later, text) = sum_d (later - first)_d text_d later_d, a reward that sees all three.
at::Tensor reward(const at::Tensor& first, const at::Tensor& later, const at::Tensor& text) {
  return ((later - first) * text * later).sum(1);
}

double reward_by_hand(const at::Tensor& frames, std::int64_t clip, std::int64_t frame, const at::Tensor& text,
                      std::int64_t told) {
  const auto z = frames.accessor<double, 3>();
  const auto t = text.accessor<double, 2>();
  double sum = 0;
  for (std::int64_t d = 0; d < frames.size(2); ++d)
    sum += (z[clip][frame][d] - z[clip][0][d]) * t[told][d] * z[clip][frame][d];
  return sum;
}

double language_contrast_by_hand(const at::Tensor& frames, const at::Tensor& text, std::int64_t negatives) {
  const auto clips = frames.size(0);
  double sum = 0;
  for (std::int64_t i = 0; i < clips; ++i) {
    for (std::int64_t k = 1; k <= 2; ++k) {
      std::vector<double> rewards{reward_by_hand(frames, i, k, text, i), reward_by_hand(frames, i, k - 1, text, i)};
      for (std::int64_t n = 1; n <= negatives; ++n)
        rewards.push_back(reward_by_hand(frames, (i + n) % clips, k, text, i));
      sum += test::log_sum_exp(rewards) - rewards[0];
    }
  }
  return sum / static_cast<double>(2 * clips);
}

TEST(TimeContrastive, EqualsItsFormulaInDouble) {
  for (const std::int64_t clips : {1, 2, 7}) {
    const auto frames = at::randn({clips, 3, 4}, at::kDouble);
    EXPECT_NEAR(loss_of(frames, {}), time_contrast_by_hand(frames) + lengths_by_hand(frames, 1e-5, 1e-5), 1e-10);
    EXPECT_NEAR(loss_of(frames, {.l1 = 0.3, .l2 = 0.7}),
                time_contrast_by_hand(frames) + lengths_by_hand(frames, 0.3, 0.7), 1e-10);
  }
}

TEST(TimeContrastive, EqualsItsFormulaWithAReward) {
  for (const std::int64_t clips : {1, 2, 7}) {
    const auto frames = at::randn({clips, 3, 4}, at::kDouble), text = unit_rows(clips, 4);
    const TimeContrastive loss({.l1 = 0, .l2 = 0, .reward = reward, .language_weight = 0.4});
    const double by_hand = time_contrast_by_hand(frames) +
                           0.4 * language_contrast_by_hand(frames, text, std::min<std::int64_t>(3, clips - 1));
    EXPECT_NEAR(loss.forward(batch_of(frames, text)).item<double>(), by_hand, 1e-10);
  }
}

TEST(TimeContrastive, HasTheSlopesOfFiniteDifferences) {
  const auto frames = at::randn({5, 3, 4}, at::kDouble), text = unit_rows(5, 4);
  const TimeContrastive loss({.l1 = 0.1, .l2 = 0.1, .reward = reward});
  EXPECT_LT(test::gradient_error({frames, text}, [&] { return loss.forward(batch_of(frames, text)); }), 1e-7);
}

TEST(TimeContrastive, HasNoCap) {
  // Frame 1 is 1000 away from the others, which are one; an epsilon within the logarithm would stop at 18.4.
  auto frames = at::zeros({1, 3, 4}, at::kFloat);
  frames[0][1][0] = 1000;
  frames.requires_grad_();
  const auto loss = TimeContrastive({.l1 = 0, .l2 = 0}).forward(batch_of(frames));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), 1000.0, 1e-3);
  EXPECT_NEAR(frames.grad()[0][1][0].item<double>(), 1.0, 1e-6);
}

TEST(TimeContrastive, HasGradientsWhereFramesCoincide) {
  const auto frames = at::zeros({4, 3, 4}, at::kDouble).requires_grad_();
  const auto loss = TimeContrastive().forward(batch_of(frames));
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), std::log(5.0), 1e-12);  // the near one, the far one and three other clips
  EXPECT_TRUE(frames.grad().isfinite().all().item<bool>());
}

TEST(TimeContrastive, NamesWhatDoesNotFit) {
  EXPECT_EQ(test::message_of<Error>([] { loss_of({}, {}); }), "[TimeContrastive] frames: the batch has none");
  EXPECT_EQ(test::message_of<Error>([] {
              loss_of(at::zeros({4, 5, 8}), {});
            }),
            "[TimeContrastive] frames: expected floating [B, 3, D] (in the order of time), got Float [4, 5, 8]");
  EXPECT_EQ(test::message_of<Error>([] {
              loss_of(at::zeros({4, 3, 8}), {.reward = reward});
            }),
            "[TimeContrastive] text: expected [4, D], got []");
  EXPECT_EQ(test::message_of<Error>([] { TimeContrastive({.language_negatives = -1}); }),
            "[TimeContrastive] language_negatives: expected 0 or more, got -1");
  const auto wrong = [](const at::Tensor& first, const at::Tensor&, const at::Tensor&) { return first; };
  EXPECT_EQ(test::message_of<Error>([&] {
              TimeContrastive({.reward = wrong}).forward(batch_of(at::zeros({4, 3, 8}), unit_rows(4, 8, at::kFloat)));
            }),
            "[TimeContrastive] reward: expected it to give [4], got [4, 8]");
}

}  // namespace
}  // namespace vlalign::time_contrastive_test
