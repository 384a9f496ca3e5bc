#include "vlalign/train/policy_trainer.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "support/colours.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::policy_trainer_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

/// Six episodes of 5 steps. A frame is black but for a white left or right half; "to the light" moves there, "to the
/// dark" away: (+-0.5, step / 10).
class Lights : public EpisodeSource {
 public:
  Lights() {
    for (int i = 0; i < 6; ++i) {
      auto actions = at::zeros({5, 2});
      for (int t = 0; t < 5; ++t) {
        actions[t][0] = sign(i, t);
        actions[t][1] = t / 10.0;
      }
      episodes_.push_back({.name = "lights " + std::to_string(i),
                           .instructions = {i < 3 ? "to the light" : "to the dark"},
                           .states = at::arange(5).to(at::kFloat).view({5, 1}),
                           .actions = actions});
    }
  }

  std::int64_t size() const override { return std::ssize(episodes_); }
  const Episode& episode(std::int64_t i) const override { return episodes_.at(static_cast<std::size_t>(i)); }
  Image frame(std::int64_t i, std::int64_t t, PixelsAs) const override {
    Image image{32, 32, std::vector<std::uint8_t>(3 * 32 * 32)};
    for (std::size_t p = 0; p < image.rgb.size(); ++p)
      image.rgb[p] = (p / 3 % 32 < 16) == light_is_left(i, t) ? 255 : 0;
    return image;
  }

 private:
  static bool light_is_left(std::int64_t i, std::int64_t t) { return (i + t) % 2 == 0; }
  static double sign(std::int64_t i, std::int64_t t) { return (light_is_left(i, t) ? -0.5 : 0.5) * (i < 3 ? 1 : -1); }

  std::vector<Episode> episodes_;
};

class PolicyRuns : public test::Colours {
 protected:
  static vla::Policy policy(std::uint64_t seed = 1, const std::string& head = "l1") {
    vla::PolicyConfig config{.fusion = "text_queries", .head = head, .actions = {.horizon = 3}, .width = 32};
    vla::measure_ranges(std::make_shared<Lights>(), config);
    return vla::Policy::create(model(seed), config, seed);
  }

  TrainerOptions how(std::int64_t steps) const {
    auto o = options(steps);
    o.augmentation = {};
    o.batch_size = 10;
    return o;
  }

  std::shared_ptr<const EpisodeSource> lights_ = std::make_shared<Lights>();
};

using Tensors = std::map<std::string, at::Tensor>;

Tensors copies_of(const vla::Policy& policy) {
  Tensors all;
  for (const auto& item : policy.module()->named_parameters()) all[item.key()] = item.value().detach().clone();
  return all;
}

std::set<std::string> moved(const Tensors& before, const vla::Policy& policy) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : copies_of(policy)) {
    if (!before.contains(name) || !tensor.equal(before.at(name))) names.insert(name);
  }
  return names;
}

bool any_begins(const std::set<std::string>& names, const std::string& prefix) {
  return std::any_of(names.begin(), names.end(), [&](const auto& name) { return name.starts_with(prefix); });
}

TEST_F(PolicyRuns, RangesAreTheDemonstrations) {
  vla::PolicyConfig config;
  vla::measure_ranges(lights_, config);
  EXPECT_EQ(config.state, 1);
  EXPECT_EQ(config.actions.dims, 2);
  EXPECT_FLOAT_EQ(config.state_mean[0], 2.0F);  // of 0 ... 4
  EXPECT_FLOAT_EQ(config.state_std[0], std::sqrt(2.0F));
  EXPECT_EQ(config.action_low, (std::vector<float>{-0.5F, 0.0F}));
  EXPECT_EQ(config.action_high, (std::vector<float>{0.5F, 0.4F}));
}

TEST_F(PolicyRuns, LearnWhatTheInstructionAsksForInTheFrame) {
  const auto trained = policy(1, "mse");  // by L1 the sign of a product is learnt far more slowly
  auto o = how(600);
  o.learning_rate = 1e-3;
  o.optimizer = AdamWOptions{.beta2 = 0.999, .weight_decay = 0};
  vla::PolicyTrainer(trained, o).fit(lights_);
  for (const std::int64_t i : {0, 1, 3, 4}) {
    const auto& episode = lights_->episode(i);
    const auto tokens = tokenize(*trained.encoder().tokenizer(), episode.instructions, 16);
    auto image = lights_->frame(i, 1, PixelsAs::vlalign);
    const auto pixels = at::tensor(image.rgb).view({1, 32, 32, 3}).permute({0, 3, 1, 2});
    const auto chunk = trained.act(pixels, trained.read(tokens), episode.states.narrow(0, 1, 1));
    EXPECT_LT((chunk[0] - episode.actions.narrow(0, 1, 3)).abs().max().item<double>(), 0.15) << episode.name;
  }
}

TEST_F(PolicyRuns, AResumedRunEqualsOneThatNeverStopped) {
  for (const auto* head : {"l1", "flow_matching"}) {
    const TempFolder runs;
    auto o = how(7);
    o.checkpoints.every = 2;
    o.out = runs.path() / "whole";
    const vla::AlignmentBeside beside{.loss = InfoNCE(), .pairs = pairs_, .weight = 0.5, .batch_size = 4};
    const auto whole = policy(1, head);
    vla::PolicyTrainer(whole, o, beside).fit(lights_);

    o.out = runs.path() / "stopped";
    vla::PolicyTrainer stopped(policy(1, head), o, beside);
    stopped.on_step([](const StepResult& r) {
      if (r.step == 5) throw std::runtime_error("pulled the plug");
    });
    EXPECT_THROW(stopped.fit(lights_), std::runtime_error);
    o.resume = true;
    const auto resumed = policy(9, head);  // other weights: all must come from the checkpoint
    vla::PolicyTrainer(resumed, o, beside).fit(lights_);
    EXPECT_EQ(moved(copies_of(whole), resumed), std::set<std::string>{});
    const auto lines = metrics(o.out), expected = metrics(runs.path() / "whole");
    ASSERT_EQ(lines.size(), 7U);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const auto* key : {"loss", "action_loss", "accuracy", "lr", "samples_seen"})
        EXPECT_EQ(lines[i].at(key), expected[i].at(key)) << key << " in line " << i;
    }
    const auto loaded = vla::Policy::load(o.out / "model");
    EXPECT_EQ(moved(copies_of(whole), loaded), std::set<std::string>{});
  }
}

TEST_F(PolicyRuns, FreezeSlowDownOrAdaptByPattern) {
  const auto frozen = policy();
  auto before = copies_of(frozen);
  auto o = how(3);
  o.fine_tuning.freeze = {"encoder.*"};
  vla::PolicyTrainer(frozen, o).fit(lights_);
  auto names = moved(before, frozen);
  EXPECT_FALSE(any_begins(names, "encoder."));
  EXPECT_TRUE(any_begins(names, "fusion.") && any_begins(names, "head.") && names.contains("positions"));

  // Adam's first step is the learning rate, whatever the gradient: a factor shows as it is.
  const auto slow = policy();
  before = copies_of(slow);
  o = how(1);
  o.schedule.warmup = 0;
  std::get<AdamWOptions>(o.optimizer).weight_decay = 0;
  o.fine_tuning.rates = {{"encoder.*", 0.5}, {"encoder.text.*", 0.2}};
  vla::PolicyTrainer(slow, o).fit(lights_);
  const auto after = copies_of(slow);
  const auto step = [&](const char* name) { return (after.at(name) - before.at(name)).abs().max().item<double>(); };
  EXPECT_NEAR(step("head.mlp.out.weight"), o.learning_rate, 0.02 * o.learning_rate);
  EXPECT_NEAR(step("encoder.visual.conv1.weight"), 0.5 * o.learning_rate, 0.02 * o.learning_rate);
  EXPECT_NEAR(step("encoder.text.ln_final.weight"), 0.1 * o.learning_rate, 0.01 * o.learning_rate);

  const auto adapted = policy();
  before = copies_of(adapted);
  add_lora(adapted.encoder(), {.rank = 2});
  vla::PolicyTrainer(adapted, how(3)).fit(lights_);
  names = moved(before, adapted);
  EXPECT_TRUE(any_begins(names, "fusion.") && any_begins(names, "head."));
  for (const auto& name : names) {
    EXPECT_TRUE(!name.starts_with("encoder.") || name.find(".lora.") != std::string::npos) << name;
  }
}

TEST_F(PolicyRuns, AnAlignmentBesideTrainsTheTowersOnItsPairs) {
  const auto trained = policy();
  std::vector<StepResult> steps;
  vla::PolicyTrainer trainer(trained, how(100),
                             vla::AlignmentBeside{.loss = InfoNCE(), .pairs = pairs_, .batch_size = 8});
  trainer.on_step([&](const StepResult& r) { steps.push_back(r); });
  trainer.fit(lights_);
  EXPECT_GT(steps.front().loss - *steps.front().action_loss, 1.5);  // ln 8 = 2.08
  EXPECT_LT(steps.back().loss - *steps.back().action_loss, 0.5);
  EXPECT_GE(steps.back().accuracy, 0.8);
  EXPECT_LT(*steps.back().action_loss, 0.5 * *steps.front().action_loss);
}

TEST_F(PolicyRuns, OnCudaFirstStepsAgreeWithTheCpus) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
  for (const auto* head : {"l1", "flow_matching"}) {
    const vla::AlignmentBeside beside{.loss = InfoNCE(), .pairs = pairs_, .batch_size = 8};
    auto o = how(5);
    const auto on_cpu = vla::PolicyTrainer(policy(1, head), o, beside).fit(lights_);
    o.device = parse_device("cuda");
    const auto on_gpu = vla::PolicyTrainer(policy(1, head), o, beside).fit(lights_);
    EXPECT_NEAR(on_gpu.last.loss, on_cpu.last.loss, 0.01 * on_cpu.last.loss) << head;
  }
}

TEST_F(PolicyRuns, ASkippedStepLeavesWeightsAndStatisticsAsTheyWere) {
  vla::PolicyConfig config{.fusion = "text_queries", .head = "l1", .actions = {.horizon = 3}, .width = 32};
  vla::measure_ranges(lights_, config);
  const auto trained = vla::Policy::create(model(1, /*resnet=*/true), config, 1);
  const auto copies = [&] {
    auto all = copies_of(trained);
    for (const auto& item : trained.module()->named_buffers()) all[item.key()] = item.value().clone();
    return all;
  };
  int calls = 0;
  const auto not_finite_once = [&calls](const ContrastiveBatch& b) {
    return InfoNCE().forward(b) * (++calls == 2 ? std::numeric_limits<double>::quiet_NaN() : 1.0);
  };
  Tensors before;
  vla::PolicyTrainer trainer(trained, how(3),
                             vla::AlignmentBeside{.loss = not_finite_once, .pairs = pairs_, .batch_size = 4});
  trainer.on_step([&](const StepResult& r) {
    EXPECT_EQ(r.skipped, r.step == 2);
    if (r.step == 1) before = copies();
    if (r.step == 2) {
      for (const auto& [name, tensor] : copies()) EXPECT_TRUE(tensor.equal(before.at(name))) << name;
    }
  });
  EXPECT_EQ(trainer.fit(lights_).skipped_steps, 1);
}

TEST_F(PolicyRuns, LeaveALogitScaleAloneThatNothingTrains) {
  auto config = model().config();
  config.scale.initial = 117.33;
  vla::PolicyConfig head{.fusion = "text_queries", .head = "l1", .actions = {.horizon = 3}, .width = 32};
  vla::measure_ranges(lights_, head);
  const auto trained = vla::Policy::create(DualEncoder::create(config, model().tokenizer(), 1), head, 1);
  const auto scale = [&] { return trained.encoder().logit_scale().item<float>(); };
  const auto before = scale();
  vla::PolicyTrainer(trained, how(2)).fit(lights_);
  EXPECT_EQ(scale(), before);
  vla::PolicyTrainer(trained, how(2), vla::AlignmentBeside{.loss = InfoNCE(), .pairs = pairs_, .batch_size = 4})
      .fit(lights_);
  EXPECT_LE(scale(), 100.001F);
}

TEST_F(PolicyRuns, RefuseALossBesideThatTrainsNothing) {
  const auto constant = [](const ContrastiveBatch& b) { return InfoNCE().forward(b).detach(); };
  const vla::AlignmentBeside beside{.loss = constant, .pairs = pairs_, .batch_size = 4};
  EXPECT_EQ(
      message_of<Error>([&] { vla::PolicyTrainer(policy(), how(2), beside).fit(lights_); }),
      "[Trainer] the loss has no gradient: expected a scalar computed from the batch, got a constant or a detached "
      "tensor");
}

TEST_F(PolicyRuns, RefuseWhatCannotWork) {
  auto o = how(2);
  o.micro_batch = 2;
  EXPECT_EQ(message_of<Error>([&] { vla::PolicyTrainer(policy(), o); }),
            "[PolicyTrainer] micro_batch: a policy's batch isn't taken in pieces");
  o = how(2);
  o.fine_tuning.rates = {{"towers.*", 0.1}};
  EXPECT_EQ(message_of<Error>([&] { vla::PolicyTrainer(policy(), o); }),
            "[FineTuning] rates: no parameter fits \"towers.*\"; `vlalign inspect --parameters` lists them");
  const auto other = vla::Policy::create(model(), {.actions = {.horizon = 2, .dims = 3}, .width = 32});
  EXPECT_EQ(message_of<Error>([&] { vla::PolicyTrainer(other, how(2)).fit(lights_); }),
            "[PolicyTrainer] the demonstrations' actions have 2 numbers, the policy's 3");
}

}  // namespace
}  // namespace vlalign::policy_trainer_test
