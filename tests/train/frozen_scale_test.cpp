// A logit scale outside [1, 100] is brought there by the run that trains it, and by no other.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/colours.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::frozen_scale_test {
namespace {

class FrozenScale : public test::Colours {
 protected:
  static DualEncoder with_scale(double scale, bool temperature) {
    auto config = model().config();
    config.scale = {.temperature = temperature, .initial = scale};
    return DualEncoder::create(config, model().tokenizer(), 1);
  }

  /// The scale before and after some steps.
  std::pair<float, float> trained(const DualEncoder& model, const TrainerOptions& how) const {
    const auto before = model.logit_scale().item<float>();
    train(model, how);
    return {before, model.logit_scale().item<float>()};
  }

  template <typename Check>
  static void for_each_scale(const Check& check) {
    for (const double scale : {117.33, 0.5}) {
      for (const bool temperature : {false, true}) {
        SCOPED_TRACE(testing::Message() << scale << (temperature ? " as a temperature" : ""));
        check(with_scale(scale, temperature));
      }
    }
  }
};

TEST_F(FrozenScale, StaysWhereItIs) {
  for_each_scale([&](const DualEncoder& model) {
    auto how = options(2);
    how.fine_tuning.freeze = {model.config().scale.temperature ? "temperature" : "logit_scale"};
    const auto [before, after] = trained(model, how);
    EXPECT_EQ(after, before);
  });
}

TEST_F(FrozenScale, StaysWhereItIsUnderAnAdapter) {
  for_each_scale([&](const DualEncoder& model) {
    add_lora(model, {.rank = 2});
    const auto [before, after] = trained(model, options(2));
    EXPECT_EQ(after, before);
  });
}

TEST_F(FrozenScale, IsOneWhoseLearningRateIsZero) {
  for_each_scale([&](const DualEncoder& model) {
    auto how = options(2);
    how.fine_tuning.rates = {{model.config().scale.temperature ? "temperature" : "logit_scale", 0.0}};
    const auto [before, after] = trained(model, how);
    EXPECT_EQ(after, before);
  });
}

TEST_F(FrozenScale, IsOneThatTheLossDoesNotUse) {
  for_each_scale([&](const DualEncoder& model) {
    const auto before = model.logit_scale().item<float>();
    const auto distance = [](const ContrastiveBatch& b) { return (b.image - b.text).square().sum(1).mean(); };
    Trainer(model, distance, options(2)).fit(pairs_);
    EXPECT_EQ(model.logit_scale().item<float>(), before);
  });
}

TEST_F(FrozenScale, IsNoneThatTrains) {
  for_each_scale([&](const DualEncoder& model) {
    const auto [before, after] = trained(model, options(2));
    EXPECT_NE(after, before);
    EXPECT_GE(after, 0.999F);
    EXPECT_LE(after, 100.001F);
  });
}

TEST_F(FrozenScale, ARateOfZeroChangesNoWeightAndNoAverage) {
  const test::TempFolder runs;
  const auto still = with_scale(117.33, false);
  auto how = options(3);
  how.learning_rate = 0;
  how.ema_decay = 0.9;
  how.out = runs.path() / "run";
  still.save(runs.path() / "before");
  train(still, how);
  const auto file = [&](const char* folder) { return read_file(runs.path() / folder / "open_clip_model.safetensors"); };
  EXPECT_EQ(file("run/model"), file("before"));
  EXPECT_EQ(file("run/model-ema"), file("before"));
}

}  // namespace
}  // namespace vlalign::frozen_scale_test
