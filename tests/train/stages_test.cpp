// Runs whose pictures, texts and patches change on the way.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "support/growing_bars.hpp"
#include "train/alignment_task.hpp"
#include "train/run_stages.hpp"
#include "vla/small_policy.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/loss/vip.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/vit.hpp"
#include "vlalign/train/policy_trainer.hpp"

namespace vlalign::stages_test {
namespace {

using test::message_of;
using test::TempFolder;

class Stages : public test::Colours {
 protected:
  /// Pictures of 48 pixels in 3 x 3 patches, or of 96 for a ResNet; captions of up to 16 tokens.
  static DualEncoder staged_model(std::uint64_t seed = 1, bool resnet = false) {
    ModelConfig config = model(seed, resnet).config();
    config.preprocess.image_size = resnet ? 96 : 48;
    return DualEncoder::create(config, model().tokenizer(), seed);
  }

  static std::vector<Stage> three_stages(bool resnet = false) {
    if (resnet) return {{.share = 0.4, .image_size = 32}, {.share = 0.3, .image_size = 64}, {.share = 0.3}};
    return {{.share = 0.4, .image_size = 16, .context_length = 6},
            {.share = 0.3, .image_size = 32, .patch_dropout = 0.5},
            {.share = 0.3}};
  }

  /// Ten steps, of which the stages have 4, 3 and 3.
  TrainerOptions how(bool resnet = false) const {
    auto o = options(10);
    o.stages = three_stages(resnet);
    return o;
  }

  /// What is said against training the model so.
  std::string refusal(const std::vector<Stage>& stages, bool resnet = false, std::int64_t steps = 10) const {
    auto o = options(steps);
    o.stages = stages;
    return message_of<Error>([&] { train(staged_model(1, resnet), o); });
  }

  /// Of a run that is stopped behind each of its steps and resumed with other weights.
  DualEncoder stopped_at_each_step(TrainerOptions o, bool resnet, const std::filesystem::path& out) const {
    o.out = out;
    o.resume = true;
    for (std::uint64_t seed = 1;; ++seed) {
      const auto trained = staged_model(seed == 1 ? 1 : 100 + seed, resnet);
      Trainer trainer(trained, InfoNCE(), o);
      trainer.on_step([&](const StepResult&) { trainer.stop(); });
      if (!trainer.fit(pairs_).stopped) return trained;
    }
  }
};

std::vector<std::int64_t> steps_of_each(const std::vector<Stage>& stages, std::int64_t steps) {
  const RunStages run(stages, steps);
  std::vector<std::int64_t> counts;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (run.begins_at(step)) counts.push_back(0);
    ++counts.back();
  }
  return counts;
}

TEST(RunStages, GiveEachStageItsShareOfTheStepsAndTheLargestRemaindersWhatIsLeft) {
  using Counts = std::vector<std::int64_t>;
  EXPECT_EQ(steps_of_each({{.share = 0.8}, {.share = 0.2}}, 10), (Counts{8, 2}));
  EXPECT_EQ(steps_of_each({{.share = 0.29}, {.share = 0.71}}, 100), (Counts{29, 71}));
  EXPECT_EQ(steps_of_each({{.share = 0.4}, {.share = 0.3}, {.share = 0.3}}, 9), (Counts{3, 3, 3}));  // 3.6, 2.7, 2.7
  const Stage third{.share = 1.0 / 3};
  EXPECT_EQ(steps_of_each({third, third, third}, 11), (Counts{4, 4, 3}));
  EXPECT_EQ(steps_of_each({{}}, 7), (Counts{7}));
  EXPECT_FALSE(RunStages({}, 7).begins_at(0));
}

TEST(RunStages, MissNoSharesByAWholeStep) {
  Rng rng({5});
  for (int round = 0; round < 200; ++round) {
    std::vector<Stage> stages(static_cast<std::size_t>(1 + rng.below(5)));
    double sum = 0;
    for (auto& stage : stages) sum += stage.share = 0.1 + rng.uniform();
    for (auto& stage : stages) stage.share /= sum;
    const auto steps = 100 + rng.below(1000);
    const auto counts = steps_of_each(stages, steps);
    ASSERT_EQ(counts.size(), stages.size());
    std::int64_t all = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      all += counts[i];
      EXPECT_LT(std::abs(static_cast<double>(counts[i]) - stages[i].share * static_cast<double>(steps)), 1.0);
    }
    EXPECT_EQ(all, steps);
  }
}

TEST_F(Stages, OneAtFullSizeIsTheRunWithoutStages) {
  for (const bool resnet : {false, true}) {
    const auto plain = staged_model(1, resnet), staged = staged_model(1, resnet);
    auto o = options(5);
    train(plain, o);
    const auto& config = staged.config();
    o.stages = {{.share = 1, .image_size = config.preprocess.image_size, .context_length = 16}};
    if (!resnet) o.stages[0].patch_dropout = 0;
    train(staged, o);
    expect_equal_bits(plain, staged);
  }
}

TEST_F(Stages, ResumedBehindEachStepTheyEqualARunThatNeverStopped) {
  const TempFolder runs;
  for (const std::string kind : {"vit", "resnet", "pieces", "averaged in bf16"}) {
    const bool resnet = kind == "resnet";
    auto o = how(resnet);
    if (kind == "pieces") o.micro_batch = 2;
    if (kind == "averaged in bf16") o.precision = Precision::bf16, o.ema_decay = 0.9;
    const auto whole = staged_model(1, resnet);
    train(whole, o);
    const auto resumed = stopped_at_each_step(o, resnet, runs.path() / kind);
    expect_equal_bits(whole, resumed);
    EXPECT_EQ(metrics(runs.path() / kind).size(), 10U) << kind;
  }
}

TEST_F(Stages, DifferFromEachOtherAndFromNone) {
  const auto staged = staged_model(), plain = staged_model();
  auto o = how();
  train(staged, o);
  o.stages.clear();
  train(plain, o);
  EXPECT_NE(staged.logit_scale().item<float>(), plain.logit_scale().item<float>());
}

TEST_F(Stages, AFailedStepLeavesTheModelAtFullSize) {
  const auto trained = staged_model();
  auto o = how();
  const AnyLoss fails([](const ContrastiveBatch&) -> at::Tensor { throw std::runtime_error("a fault of the loss"); });
  EXPECT_THROW(Trainer(trained, fails, o).fit(pairs_), std::runtime_error);
  EXPECT_FALSE(trained.module()->visual->input.image_size);
  EXPECT_FALSE(trained.module()->text->input.context_length);
}

TEST_F(Stages, BetweenStepsTheModelIsAtFullSizeAndMayBeLookedAt) {
  const auto watched = staged_model(), left_alone = staged_model();
  const auto full = at::zeros({1, 3, 48, 48}, at::kByte), small = at::zeros({1, 3, 16, 16}, at::kByte);
  const auto words = at::zeros({1, 16}, at::kLong);
  Trainer trainer(watched, InfoNCE(), how());
  trainer.on_step([&](const StepResult&) {
    const at::NoGradGuard no_graph;
    EXPECT_EQ(watched.image_features(full).tokens.size(1), 9);
    EXPECT_EQ(watched.text_features(words).tokens.size(1), 16);
    EXPECT_THROW(watched.encode_image(small), Error);
  });
  trainer.fit(pairs_);
  train(left_alone, how());
  expect_equal_bits(watched, left_alone);
}

/// Batch `number` of pairs at the model's full size.
PairBatch batch_at_full_size(const DualEncoder& model, const std::shared_ptr<const PairSource>& pairs,
                             const TrainerOptions& o, std::int64_t number) {
  Loader loader(pairs, model.tokenizer(), model.config().text.context_length, model.config().preprocess,
                {.batch_size = o.batch_size, .seed = o.seed, .augmentation = o.augmentation});
  loader.seek(number);
  return loader.next();
}

TEST_F(Stages, BatchesAreTheRunsInTheSizesOfTheirStage) {
  const auto trained = staged_model();
  const auto o = how();
  AlignmentTask task(trained, InfoNCE(), o);
  task.open(pairs_);
  const RunStages stages(o.stages, 10);
  const auto expect_batch = [&](std::int64_t step, std::int64_t size, std::int64_t most_tokens) {
    task.enter(stages.at(step), step);
    const auto batch = task.batches().front()->next(), whole = batch_at_full_size(trained, pairs_, o, step);
    EXPECT_EQ(batch.number, step);
    EXPECT_EQ(batch.records, whole.records);
    EXPECT_EQ(batch.pixels.sizes().vec(), (std::vector<std::int64_t>{4, 3, size, size}));
    EXPECT_EQ(batch.tokens.size(1), std::min(most_tokens, whole.tokens.size(1)));
    const auto is_end = batch.tokens == trained.tokenizer()->end_id();
    EXPECT_TRUE(is_end.any(1).all().item<bool>()) << "a text that was cut keeps its end";
  };
  for (std::int64_t step = 0; step < 10; ++step) {
    if (step < 4) expect_batch(step, 16, 6);
    if (step >= 4 && step < 7) expect_batch(step, 32, 16);
    if (step >= 7) expect_batch(step, 48, 16);
  }
  expect_batch(3, 16, 6);  // as after going back to a checkpoint
}

TEST_F(Stages, ShowTheTowersSmallPicturesShortTextsAndSomePatches) {
  struct Seen {
    std::int64_t pixels, tokens, patches;
  };
  class WatchedVit : public nn::Vit {
   public:
    using Vit::Vit;
    at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override {
      seen.push_back({pixels.size(2), 0, features(pixels, compute, {}).tokens.size(1)});
      return Vit::forward(pixels, compute);
    }
    std::vector<Seen> seen;
  };
  const auto config = staged_model().config();
  nn::Initializer initializer(1);
  const auto vit = std::make_shared<WatchedVit>(std::get<VitConfig>(config.vision), 48, 16, initializer);
  const auto plain = staged_model();
  const DualEncoder watched(
      std::make_shared<nn::DualEncoderImpl>(vit, plain.module()->text, 16, nn::DualEncoderImpl::Options{}, initializer),
      config, plain.tokenizer());
  train(watched, how());
  ASSERT_EQ(vit->seen.size(), 10U);
  for (std::size_t step = 0; step < 10; ++step) {
    EXPECT_EQ(vit->seen[step].pixels, step < 4 ? 16 : step < 7 ? 32 : 48) << step;
    EXPECT_EQ(vit->seen[step].patches, step < 4 ? 1 : step < 7 ? 2 : 9) << step;
  }
}

TEST_F(Stages, CountTheSameBadRecordOnce) {
  auto table = read_file(folder_.path() / "pairs.tsv");
  table += "missing.png\ta picture that isn't there\n";
  write_file_atomically(folder_.path() / "bad.tsv", table);
  auto o = how();
  o.batch_size = 9;
  const auto summary = Trainer(staged_model(), InfoNCE(), o).fit(open_pairs((folder_.path() / "bad.tsv").string()));
  EXPECT_EQ(summary.bad_records.size(), 1U);
}

TEST_F(Stages, AreForDemonstrationsToo) {
  const auto episodes = std::make_shared<test::GrowingBars>();
  auto o = how();
  o.batch_size = 16;
  o.augmentation = {};
  const TempFolder runs;
  const auto whole = staged_model();
  Trainer(whole, VIP(), o).fit(episodes);
  o.out = runs.path() / "run";
  o.resume = true;
  DualEncoder resumed = staged_model();
  for (bool stopped = true; stopped;) {
    Trainer trainer(resumed, VIP(), o);
    trainer.on_step([&](const StepResult& r) {
      if (r.step == 4 || r.step == 6) trainer.stop();
    });
    stopped = trainer.fit(episodes).stopped;
  }
  expect_equal_bits(whole, resumed);
}

TEST_F(Stages, OfOtherSizesAreAnotherRun) {
  const TempFolder runs;
  auto o = how();
  o.out = runs.path() / "run";
  train(staged_model(), o);
  const auto config = nlohmann::json::parse(read_file(o.out / "config.json")).at("stages");
  ASSERT_EQ(config.size(), 3U);
  EXPECT_EQ(config[1], (nlohmann::json{{"share", 0.3}, {"until_step", 7}, {"image_size", 32}, {"patch_dropout", 0.5}}));
  o.resume = true;
  o.stages[1].image_size = 16;
  const auto message = message_of<Error>([&] { train(staged_model(), o); });
  EXPECT_NE(message.find("cannot resume a run of other settings: stages was ["), message.npos) << message;
  o.stages.clear();
  EXPECT_NE(message_of<Error>([&] { train(staged_model(), o); }).find("stages was ["), message.npos);
}

TEST_F(Stages, ThatCantBeAreRefusedByName) {
  constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
  const Stage rest{.share = 0.5};
  EXPECT_EQ(refusal({{.share = 0}, {.share = 1}}), "[Trainer] stages[0].share: expected above 0 and up to 1, got 0");
  EXPECT_EQ(refusal({rest, {.share = nan}}), "[Trainer] stages[1].share: expected above 0 and up to 1, got nan");
  EXPECT_EQ(refusal({rest, {.share = 0.4}}), "[Trainer] stages: expected shares that add up to 1, got a sum of 0.9");
  EXPECT_EQ(refusal({rest, {.share = 0.5 + 1e-8}}),
            "[Trainer] stages: expected shares that add up to 1, got a sum of 1.00000001");
  EXPECT_EQ(refusal({{.share = 0.5, .image_size = 0}, rest}),
            "[Trainer] stages[0].image_size: expected a positive number of pixels, got 0");
  EXPECT_EQ(
      refusal({{.share = 0.5, .image_size = 40}, rest}),
      "[Trainer] stages[0].image_size: expected a multiple of the patch size, 16 pixels, or the model's 48, got 40");
  EXPECT_EQ(refusal({rest, {.share = 0.5, .image_size = 64}}),
            "[Trainer] stages[1].image_size: expected at most the model's 48 pixels a side, got 64");
  EXPECT_EQ(refusal({{.share = 0.5, .image_size = 48}, rest}, /*resnet=*/true),
            "[Trainer] stages[0].image_size: expected a multiple of the tower's stride, 32 pixels, or the model's 96, "
            "got 48");
  EXPECT_EQ(refusal({{.share = 0.5, .context_length = 1}, rest}),
            "[Trainer] stages[0].context_length: expected at least 2 tokens, got 1");
  EXPECT_EQ(refusal({{.share = 0.5, .context_length = 17}, rest}),
            "[Trainer] stages[0].context_length: expected at most the model's 16 tokens, got 17");
  EXPECT_EQ(refusal({{.share = 0.5, .patch_dropout = 1}, rest}),
            "[Trainer] stages[0].patch_dropout: expected 0 to below 1, got 1");
  EXPECT_EQ(refusal({{.share = 0.5, .patch_dropout = nan}, rest}),
            "[Trainer] stages[0].patch_dropout: expected 0 to below 1, got nan");
  EXPECT_EQ(refusal({{.share = 0.5, .patch_dropout = 0.5}, rest}, /*resnet=*/true),
            "[Trainer] stages[0].patch_dropout: the image tower is no Vision Transformer and has no patches");
  EXPECT_EQ(refusal({{.share = 0.02}, {.share = 0.98}}, false, 10),
            "[Trainer] stages[0].share: 0.02 of the run's 10 steps is not one step");
}

TEST_F(Stages, ATeacherSeesWholePicturesOnly) {
  auto o = how();
  o.teacher = staged_model(2);
  const auto loss = make_loss("infonce+distill");
  EXPECT_EQ(
      message_of<Error>([&] { Trainer(staged_model(), loss, o); }),
      "[Trainer] stages[0].image_size: a teacher would be shown pictures of 16 pixels, and looks at 48; leave the "
      "size or the teacher out");
  o.stages = {{.share = 0.5, .context_length = 6, .patch_dropout = 0.5}, {.share = 0.5}};
  EXPECT_EQ(Trainer(staged_model(), loss, o).fit(pairs_).last.step, 10);
}

TEST_F(Stages, ArePartOfNoPolicysRun) {
  const auto policy = vla::Policy::create(test::towers(), test::config_of("film", "mse"), 1);
  EXPECT_EQ(message_of<Error>([&] { vla::PolicyTrainer(policy, how()); }),
            "[PolicyTrainer] stages: a policy trains at full size; a Trainer takes its encoder through stages before");
}

TEST_F(Stages, ThatEndBelowFullSizeAreWarnedOf) {
  auto o = options(4);
  o.stages = {{.share = 0.5}, {.share = 0.5, .image_size = 32}};
  const test::CapturedLog log;
  train(staged_model(), o);
  EXPECT_NE(log.text().find("the last stage isn't at the model's 48x48 pixels and 16 tokens"), std::string::npos);
  EXPECT_NE(log.text().find("step 3: stage 2 of 2, to step 4, 32x32 pixels"), std::string::npos);
}

}  // namespace
}  // namespace vlalign::stages_test
