#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/colours.hpp"
#include "support/growing_bars.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/data/loading/episode_loader.hpp"
#include "vlalign/loss/liv.hpp"
#include "vlalign/loss/time_contrastive.hpp"
#include "vlalign/loss/vip.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::video_losses_test {
namespace {

using test::GrowingBars;

class VideoLosses : public test::Colours {
 protected:
  TrainerOptions how(std::int64_t steps) const {
    auto o = options(steps);
    o.batch_size = 16;
    o.augmentation = {};
    return o;
  }

  /// The embeddings of an episode's frames, [steps, D].
  at::Tensor frames_of(const DualEncoder& model, std::int64_t episode) const {
    const at::NoGradGuard no_graph;
    std::vector<at::Tensor> frames;
    for (std::int64_t t = 0; t < GrowingBars::steps; ++t) {
      auto image = episodes_->frame(episode, t, PixelsAs::vlalign);
      const auto pixels = at::from_blob(image.rgb.data(), {1, 32, 32, 3}, at::kByte).permute({0, 3, 1, 2});
      const auto pooled = model.image_features(pixels).pooled;
      frames.push_back(model.module()->projected(pooled, model.module()->image_projection)[0]);
    }
    return at::stack(frames);
  }

  std::shared_ptr<const EpisodeSource> episodes_ = std::make_shared<GrowingBars>();
};

TEST_F(VideoLosses, GetTheEmbeddingsOfAClipsFramesTheImageOfTheLastAndTheInstruction) {
  ContrastiveBatch seen;
  const AnyLoss loss(
      [&](const ContrastiveBatch& b) {
        seen = b;
        return (b.frames.square().sum() + b.text.sum() + b.image.sum()) * 1e-3;
      },
      {.frames = 4, .goal_frames = true});
  auto o = how(1);
  o.learning_rate = 0;
  const auto trained = model();
  Trainer(trained, loss, o).fit(episodes_);

  const auto& config = trained.config();
  EpisodeLoader loader(episodes_, trained.tokenizer(), config.text.context_length, config.preprocess,
                       {.batch_size = 16, .clip = {.frames = 4, .to_goal = true}, .seed = o.seed});
  const auto batch = loader.next();
  const at::NoGradGuard no_graph;
  const auto unit = trained.encode_image(batch.frames.flatten(0, 1)).view({16, 4, 16});
  EXPECT_TRUE(at::allclose(l2_normalize(seen.frames), unit, 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(seen.frames, unit, 1e-2, 1e-2));  // of any length
  EXPECT_TRUE(at::allclose(seen.image, unit.select(1, 3), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(seen.text, trained.encode_text(batch.tokens), 1e-4, 1e-5));
}

TEST_F(VideoLosses, FeedTokensAndSecondViewsOfTheLastFrames) {
  ContrastiveBatch seen;
  const AnyLoss loss(
      [&](const ContrastiveBatch& b) {
        seen = b;
        return (b.frames.sum() + b.second_image.sum() + b.image_tokens.features.sum() + b.text.sum()) * 1e-3;
      },
      {.tokens = true, .second_image = true, .frames = 3});
  auto o = how(1);
  o.augmentation = augmentation_policy("mild");
  Trainer(model(), loss, o).fit(episodes_);
  EXPECT_EQ(seen.frames.sizes(), (at::IntArrayRef{16, 3, 16}));
  EXPECT_EQ(seen.image.sizes(), (at::IntArrayRef{16, 16}));
  EXPECT_EQ(seen.second_image.sizes(), (at::IntArrayRef{16, 16}));
  EXPECT_EQ(seen.image_tokens.features.sizes(), (at::IntArrayRef{16, 4, 16}));
}

TEST_F(VideoLosses, MicroBatchesGiveTheWholeBatchsGradient) {
  for (const AnyLoss& loss : {AnyLoss(VIP()), AnyLoss(LIV()), AnyLoss(TimeContrastive())}) {
    const auto run = [&](std::int64_t micro_batch) {
      auto o = how(1);
      o.micro_batch = micro_batch;
      o.learning_rate = 0;
      return Trainer(model(), loss, o).fit(episodes_).last;
    };
    const auto whole = run(0), pieces = run(5);
    EXPECT_NEAR(pieces.loss, whole.loss, 1e-4 * std::abs(whole.loss)) << loss->name();
    EXPECT_NEAR(pieces.grad_norm, whole.grad_norm, 1e-4 * whole.grad_norm) << loss->name();
  }
}

TEST_F(VideoLosses, VIPMakesTheDistanceToTheGoalFallAlongAnEpisode) {
  const auto share_of_falling_steps = [&](const DualEncoder& model) {
    int falling = 0, all = 0;
    for (std::int64_t e = 0; e < episodes_->size(); ++e) {
      const auto frames = frames_of(model, e);
      const auto distance = (frames - frames[GrowingBars::steps - 1]).norm(2, 1);
      for (std::int64_t t = 1; t < GrowingBars::steps; ++t, ++all)
        falling += distance[t].item<float>() < distance[t - 1].item<float>() ? 1 : 0;
    }
    return static_cast<double>(falling) / all;
  };
  const auto trained = model();
  Trainer(trained, VIP(), how(150)).fit(episodes_);
  EXPECT_GT(share_of_falling_steps(trained), 0.95);
}

TEST_F(VideoLosses, R3MBringsNeighboursInTimeNearerThanTheSameTimeOfOtherEpisodes) {
  const auto share_nearer = [&](const DualEncoder& model) {
    std::vector<at::Tensor> frames;
    for (std::int64_t e = 0; e < episodes_->size(); ++e) frames.push_back(frames_of(model, e));
    const auto all = at::stack(frames);  // [E, T, D]
    const auto before = all.narrow(1, 0, GrowingBars::steps - 1), after = all.narrow(1, 1, GrowingBars::steps - 1);
    const auto in_time = (before - after).norm(2, 2);                            // [E, T - 1]
    const auto across = (before.unsqueeze(0) - before.unsqueeze(1)).norm(2, 3);  // [E, E, T - 1]
    const auto others = across + 1e9 * at::eye(episodes_->size()).unsqueeze(2);
    return (in_time < others.amin(1)).to(at::kDouble).mean().item<double>();
  };
  const auto trained = model();
  const auto before = share_nearer(trained);
  Trainer(trained, TimeContrastive(), how(300)).fit(episodes_);
  EXPECT_LT(before, 0.5);
  EXPECT_GT(share_nearer(trained), before + 0.3);
}

TEST_F(VideoLosses, ARunOnDemonstrationsIsResumedToTheSameBits) {
  const auto through = model(), resumed = model();
  auto o = how(6);
  o.steps = 6;
  o.checkpoints.every = 2;
  o.out = folder_.path() / "through";
  Trainer(through, LIV(), o).fit(episodes_);
  o.out = folder_.path() / "resumed";
  Trainer first(resumed, LIV(), o);
  first.on_step([&](const StepResult& result) {
    if (result.step == 3) first.stop();
  });
  first.fit(episodes_);
  o.resume = true;
  const auto again = model();
  Trainer(again, LIV(), o).fit(episodes_);
  expect_equal_bits(again, through);
}

TEST_F(VideoLosses, AnyLossTrainsOnStepsWithTheirInstructions) {
  auto o = how(120);
  o.targets = equal_captions();
  const auto summary = Trainer(model(), InfoNCE(), o).fit(episodes_);
  EXPECT_EQ(summary.last.samples_seen, 120 * 16);
  EXPECT_LT(summary.last.loss, 2.4);  // log(16) = 2.77; half of the texts are equal, so log(8) = 2.08 is the least
}

}  // namespace
}  // namespace vlalign::video_losses_test
