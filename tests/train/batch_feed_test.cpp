#include <ATen/TensorOperators.h>
#include <ATen/ops/ones_like.h>
#include <gtest/gtest.h>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::batch_feed_test {
namespace {

using test::message_of;

constexpr BatchParts everything{
    .logit_bias = true, .groups = true, .soft_targets = true, .tokens = true, .second_image = true, .teacher = true};

/// Reads every part, so that the towers' gradient depends on all of them.
at::Tensor loss_of_everything(const ContrastiveBatch& b) {
  const auto mean_token = [](const TokenFeatures& t) {
    const auto real = t.mask.defined() ? t.mask : at::ones_like(t.features.select(2, 0), at::kBool);
    return (t.features * real.unsqueeze(2)).sum(1) / real.sum(1, true);
  };
  const auto words = (mean_token(b.image_tokens) * mean_token(b.text_tokens)).sum();
  const auto views = (b.image * b.second_image).sum();
  const auto taught = (b.image * b.teacher_image + b.text * b.teacher_text).sum() * b.teacher_logit_scale;
  return SigmoidLoss().forward(b) - 0.1 * words - 0.2 * views - 0.01 * taught;
}

class FedColours : public test::Colours {
 protected:
  static DualEncoder with_bias(std::uint64_t seed, bool resnet = false) {
    auto config = model(seed, resnet).config();
    config.scale = {.initial = 10, .bias = -10};
    return DualEncoder::create(config, model().tokenizer(), seed);
  }

  TrainerOptions with_everything(std::int64_t steps) const {
    auto how = options(steps);
    how.batch_size = 8;
    how.targets = equal_captions();
    how.teacher = model(9);
    return how;
  }

  /// The message of the Error, and whether any step was taken before it.
  std::string refusal(const DualEncoder& trained, const AnyLoss& loss, const TrainerOptions& how) const {
    return message_of<Error>([&] { Trainer(trained, loss, how); });
  }
};

TEST_F(FedColours, GetAllPartsThatTheLossUses) {
  for (const bool resnet : {false, true}) {
    ContrastiveBatch seen;
    const AnyLoss loss(
        [&](const ContrastiveBatch& b) {
          seen = b;
          return loss_of_everything(b);
        },
        everything);
    Trainer(with_bias(1, resnet), loss, with_everything(2)).fit(pairs_);
    const auto unit = [](const at::Tensor& x) { return (x.norm(2, -1) - 1).abs().max().item<double>() < 1e-5; };
    for (const auto& rows : {seen.image, seen.text, seen.second_image, seen.teacher_image, seen.teacher_text}) {
      EXPECT_EQ(rows.sizes(), (at::IntArrayRef{8, 16}));
      EXPECT_TRUE(unit(rows));
    }
    EXPECT_EQ(seen.image_tokens.features.sizes(), (at::IntArrayRef{8, resnet ? 1 : 4, 16}));
    EXPECT_TRUE(unit(seen.image_tokens.features));
    EXPECT_TRUE(unit(seen.text_tokens.features));
    EXPECT_EQ(seen.text_tokens.mask.sizes(), seen.text_tokens.features.sizes().slice(0, 2));
    EXPECT_FALSE(seen.teacher_image.requires_grad());
    EXPECT_FALSE(seen.second_image.equal(seen.image));
    EXPECT_EQ(seen.groups.sizes(), at::IntArrayRef{8});
    EXPECT_DOUBLE_EQ(seen.progress, 0.5);
  }
}

TEST_F(FedColours, GetNothingElse) {
  ContrastiveBatch seen;
  const AnyLoss loss([&](const ContrastiveBatch& b) {
    seen = b;
    return InfoNCE().forward(b);
  });
  Trainer(with_bias(1), loss, options(1)).fit(pairs_);
  for (const auto& part : {seen.logit_bias, seen.groups, seen.soft_targets.dense(), seen.image_tokens.features,
                           seen.second_image, seen.teacher_image, seen.frames})
    EXPECT_FALSE(part.defined());
}

TEST_F(FedColours, MicroBatchesGiveTheWholeBatchsGradientOfEveryPart) {
  const auto run = [&](std::int64_t micro_batch) {
    const auto trained = with_bias(1);
    auto how = with_everything(1);
    how.micro_batch = micro_batch;
    how.learning_rate = 0;
    return Trainer(trained, AnyLoss(loss_of_everything, everything), how).fit(pairs_).last;
  };
  const auto whole = run(0), pieces = run(3);
  EXPECT_NEAR(pieces.loss, whole.loss, 1e-4 * std::abs(whole.loss));
  EXPECT_NEAR(pieces.grad_norm, whole.grad_norm, 1e-4 * whole.grad_norm);
}

TEST_F(FedColours, AreLearntWithTheSigmoidLoss) {
  auto how = options(120);
  how.batch_size = 8;
  const auto summary = Trainer(with_bias(1), SigmoidLoss(), how).fit(pairs_);
  EXPECT_GT(summary.last.accuracy, 0.9);
}

TEST_F(FedColours, WhatCannotBeFedIsRefusedBeforeTheFirstStep) {
  const auto uses = [](BatchParts parts) { return AnyLoss(loss_of_everything, parts, "mine"); };
  EXPECT_EQ(message_of<Error>([&] { Trainer(model(), uses({.frames = 3}), options(1)).fit(pairs_); }),
            "[Trainer] the loss mine uses frames of a video, and pairs have none: fit() takes demonstrations too, see "
            "open_episodes()");
  EXPECT_EQ(refusal(model(), SigmoidLoss(), options(1)),
            "[Trainer] the loss siglip uses a logit bias, and the model small has none: create or load it "
            "with one");
  EXPECT_EQ(refusal(model(), uses({.teacher = true}), options(1)),
            "[Trainer] the loss mine uses a teacher, and none is given");
  auto plain_pictures = options(1);
  plain_pictures.augmentation = {};
  EXPECT_EQ(refusal(model(), uses({.second_image = true}), plain_pictures),
            "[Trainer] the loss mine compares two views of each image, which are equal without an augmentation");
}

TEST_F(FedColours, WhatTheLossDoesNotUseIsRefusedToo) {
  const AnyLoss loss(loss_of_everything, {}, "mine");
  auto how = options(1);
  how.targets = equal_captions();
  EXPECT_EQ(refusal(model(), loss, how), "[Trainer] targets: the loss mine uses none");
  how = options(1);
  how.teacher = model();
  EXPECT_EQ(refusal(model(), loss, how), "[Trainer] teacher: the loss mine uses none");
}

TEST_F(FedColours, AModelIsNotItsOwnTeacher) {
  const AnyLoss loss(loss_of_everything, {.teacher = true}, "mine");
  const auto trained = model();
  auto how = options(1);
  how.teacher = trained;
  EXPECT_EQ(refusal(trained, loss, how),
            "[Trainer] teacher: it shares its weights with the model, and would learn from itself; load or create "
            "another");
}

TEST_F(FedColours, ATeacherThatReadsOtherInputsIsRefused) {
  const AnyLoss loss(loss_of_everything, {.teacher = true}, "mine");
  auto how = options(1);
  auto config = model().config();
  config.preprocess.image_size = 64;
  how.teacher = DualEncoder::create(config, model().tokenizer());
  EXPECT_EQ(refusal(model(), loss, how),
            "[Trainer] teacher: it looks at 64x64 pixels, the model at 32x32; load it at the model's image size");
  config = model().config();
  config.preprocess.pixels_as = PixelsAs::peer;
  how.teacher = DualEncoder::create(config, model().tokenizer());
  EXPECT_EQ(refusal(model(), loss, how),
            "[Trainer] teacher: it sees transparency and orientation otherwise than the model; load it with "
            "LoadOptions{.pixels_as = model.config().preprocess.pixels_as}");
  config = model().config();
  config.text.vocab_size = 515;
  using Merge = ClipTokenizer::Merge;
  how.teacher = DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<Merge>{{"r", "e"}}));
  EXPECT_EQ(refusal(model(), loss, how),
            "[Trainer] teacher: its tokenizer is not the model's, so it can't read the same tokens");
}

}  // namespace
}  // namespace vlalign::batch_feed_test
