// Training in float16 with a scaled loss.
#include "train/loss_scaler.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::loss_scaler_test {
namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

/// The scale after steps of which some overflow, by the rule in torch.amp.GradScaler's documentation.
TEST(LossScaler, HalvesAtAnOverflowAndDoublesAfterTwoThousandSteps) {
  LossScaler scaler(Precision::fp16, c10::kCPU);
  double expected = 65536;
  int without = 0;
  for (int step = 0; step < 4500; ++step) {
    const bool overflow = step == 3 || step == 4 || step == 1000;
    std::vector<at::Tensor> gradients{at::full({3}, 8.0F), at::tensor({overflow ? infinite : 4.0F, 1.0F})};
    const auto loss = scaler.scaled(at::full({}, 2.0F)).item<double>();
    EXPECT_EQ(loss, 2 * expected);
    scaler.unscale(gradients);
    EXPECT_EQ(gradients[0][0].item<double>(), overflow ? gradients[0][0].item<double>() : 8 / expected);
    EXPECT_EQ(scaler.update(), overflow);
    without = overflow ? 0 : without + 1;
    if (overflow) expected /= 2;
    if (without == 2000) expected *= 2, without = 0;
  }
  EXPECT_EQ(scaler.state().at("loss_scale").item<double>(), expected);
}

TEST(LossScaler, LeavesOtherPrecisionsAlone) {
  LossScaler scaler(Precision::bf16, c10::kCPU);
  std::vector<at::Tensor> gradients{at::full({1}, infinite)};
  scaler.unscale(gradients);
  EXPECT_EQ(scaler.scaled(at::full({}, 2.0F)).item<float>(), 2);
  EXPECT_FALSE(scaler.update());
  EXPECT_TRUE(scaler.state().empty());
}

class HalfPrecision : public test::Colours {
 protected:
  TrainerOptions how(Precision precision) const {
    auto o = options(30);
    o.precision = precision;
    return o;
  }
};

/// float32 is the truth. With a learning rate of 0 both see the same weights at each step.
TEST_F(HalfPrecision, HasFloat32sLossesAndGradients) {
  for (const std::int64_t micro_batch : {0, 2}) {
    std::vector<std::vector<StepResult>> results;
    for (const auto precision : {Precision::fp32, Precision::fp16}) {
      auto options = how(precision);
      options.micro_batch = micro_batch;
      options.learning_rate = 0;
      results.emplace_back();
      Trainer trainer(model(), InfoNCE(), options);
      trainer.on_step([&](const StepResult& r) { results.back().push_back(r); });
      trainer.fit(pairs_);
    }
    int compared = 0;
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_NEAR(results[1][i].loss, results[0][i].loss, 0.01) << i;
      if (results[1][i].skipped) continue;  // its scale was still too large
      EXPECT_NEAR(results[1][i].grad_norm, results[0][i].grad_norm, 0.02 * results[0][i].grad_norm) << i;
      ++compared;
    }
    EXPECT_GE(compared, 15);
  }
}

TEST_F(HalfPrecision, Learns) {
  auto options = how(Precision::fp16);
  options.steps = 60;
  EXPECT_LT(train(model(), options).last.loss, 0.5);
}

/// A loss of a hundred times the size has gradients beyond 65,504 at first: such steps are skipped until the scale
/// fits, and are no fault of the run's.
TEST_F(HalfPrecision, FindsItsScale) {
  const test::CapturedLog log;
  auto options = how(Precision::fp16);
  options.steps = 40;
  options.non_finite = NonFinite::stop;
  int skipped = 0;
  Trainer trainer(
      model(), [](const ContrastiveBatch& b) { return InfoNCE().forward(b) * 100; }, options);
  trainer.on_step([&](const StepResult& r) { skipped += r.skipped ? 1 : 0; });
  const auto summary = trainer.fit(pairs_);
  EXPECT_GT(skipped, 0);
  EXPECT_LT(skipped, 17);
  EXPECT_EQ(summary.skipped_steps, 0);
  EXPECT_EQ(log.count("too large for float16"), skipped);
}

TEST_F(HalfPrecision, ResumesToTheSameBits) {
  const test::TempFolder runs;
  auto options = how(Precision::fp16);
  options.steps = 12;
  options.checkpoints.every = 4;
  const AnyLoss loss = [](const ContrastiveBatch& b) { return InfoNCE().forward(b) * 100; };
  const auto whole = model(), resumed = model(9);
  options.out = runs.path() / "whole";
  Trainer(whole, loss, options).fit(pairs_);
  options.out = runs.path() / "run";
  Trainer first(model(), loss, options);
  first.on_step([&](const StepResult& r) {
    if (r.step == 7) first.stop();
  });
  first.fit(pairs_);
  options.resume = true;
  Trainer(resumed, loss, options).fit(pairs_);
  expect_equal_bits(whole, resumed);
}

}  // namespace
}  // namespace vlalign::loss_scaler_test
