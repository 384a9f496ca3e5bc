// Numbers and functions that no run can be made of.
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/train/optimizer.hpp"
#include "vlalign/train/policy_trainer.hpp"
#include "vlalign/train/progress.hpp"

namespace vlalign::option_checks_test {
namespace {

using test::message_of;

constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
constexpr auto infinity = std::numeric_limits<double>::infinity();
constexpr auto largest = std::numeric_limits<std::int64_t>::max();

class OptionChecks : public test::Colours {
 protected:
  std::string refusal(const std::function<void(TrainerOptions&)>& change) const {
    auto how = options(2);
    change(how);
    return message_of<Error>([&] { Trainer(model(), InfoNCE(), how); });
  }
};

TEST_F(OptionChecks, NumbersOutOfRangeAreNamedWithTheRange) {
  using O = TrainerOptions&;
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).weight_decay = nan; }),
            "[AdamW] weight_decay: expected 0 or more, got nan");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).weight_decay = -0.1; }),
            "[AdamW] weight_decay: expected 0 or more, got -0.1");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).weight_decay = infinity; }),
            "[AdamW] weight_decay: expected 0 or more, got inf");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).beta1 = 1; }),
            "[AdamW] beta1: expected 0 to below 1, got 1");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).beta1 = nan; }),
            "[AdamW] beta1: expected 0 to below 1, got nan");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).beta2 = -0.5; }),
            "[AdamW] beta2: expected 0 to below 1, got -0.5");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).eps = 0; }),
            "[AdamW] eps: expected more than 0, got 0");
  EXPECT_EQ(refusal([](O o) { std::get<AdamWOptions>(o.optimizer).eps = 1e-60; }),
            "[AdamW] eps: expected more than 0, got 1e-60");
  EXPECT_EQ(refusal([](O o) { o.optimizer = LambOptions{.eps = 0}; }), "[Lamb] eps: expected more than 0, got 0");
  EXPECT_EQ(refusal([](O o) { o.optimizer = LambOptions{.weight_decay = nan}; }),
            "[Lamb] weight_decay: expected 0 or more, got nan");
  EXPECT_EQ(refusal([](O o) { o.optimizer = LionOptions{.beta1 = 1}; }), "[Lion] beta1: expected 0 to below 1, got 1");
  EXPECT_EQ(refusal([](O o) { o.optimizer = LionOptions{.beta2 = infinity}; }),
            "[Lion] beta2: expected 0 to below 1, got inf");
  EXPECT_EQ(refusal([](O o) { o.optimizer = MuonOptions{.momentum = -0.1}; }),
            "[Muon] momentum: expected 0 to below 1, got -0.1");
  EXPECT_EQ(refusal([](O o) { o.optimizer = MuonOptions{.newton_schulz = 0}; }),
            "[Muon] newton_schulz: expected 1 to 20 steps, got 0");
  EXPECT_EQ(refusal([](O o) { o.optimizer = MuonOptions{.rest = {.eps = nan}}; }),
            "[AdamW] eps: expected more than 0, got nan");
  EXPECT_EQ(refusal([](O o) { o.schedule.warmup_share = 1; }), "[Trainer] warmup_share: expected 0 to below 1, got 1");
  EXPECT_EQ(refusal([](O o) { o.schedule.cooldown_share = nan; }),
            "[Trainer] cooldown_share: expected above 0, up to 1, got nan");
  EXPECT_EQ(refusal([](O o) { o.learning_rate = nan; }), "[Trainer] learning_rate: expected 0 or more, got nan");
  EXPECT_EQ(refusal([](O o) { o.grad_clip = infinity; }), "[Trainer] grad_clip: expected a positive norm, got inf");
  EXPECT_EQ(refusal([](O o) { o.ema_decay = nan; }), "[Trainer] ema_decay: expected 0 to below 1, got nan");
  EXPECT_EQ(refusal([](O o) { o.micro_batch = largest; }),
            "[Trainer] micro_batch: expected at most the batch's 4 pairs, got 9223372036854775807");
  EXPECT_EQ(refusal([](O o) { o.threads = 100'000; }), "[Trainer] threads: expected 0 to 1024, got 100000");
  EXPECT_EQ(refusal([](O o) { o.threads = -1; }), "[Trainer] threads: expected 0 to 1024, got -1");
  EXPECT_EQ(refusal([](O o) { o.max_bad = 1.5; }), "[Trainer] max_bad: expected 0 to 1, got 1.5");
  EXPECT_EQ(refusal([](O o) { o.loader_threads = 0; }), "[Trainer] loader_threads: expected 1 to 1024, got 0");
  EXPECT_EQ(refusal([](O o) { o.fine_tuning.layer_decay = nan; }),
            "[FineTuning] layer_decay: expected 0 to 1, got nan");
}

TEST_F(OptionChecks, MoreEpochsThanStepsCanBeCountedAreRefused) {
  auto how = options(1);
  how.steps.reset();
  how.epochs = largest;
  EXPECT_EQ(message_of<Error>([&] { train(model(), how); }),
            "[Trainer] epochs: expected at most 4611686018427387903 of 2 steps each, got 9223372036854775807");
}

TEST_F(OptionChecks, TheOptimizerAloneChecksItsOptionsToo) {
  const Optimizer::NamedParameters parameters{{"w", at::ones({2, 2}).requires_grad_()}};
  EXPECT_EQ(message_of<Error>([&] { Optimizer(parameters, AdamWOptions{.beta1 = 2}); }),
            "[AdamW] beta1: expected 0 to below 1, got 2");
  EXPECT_EQ(message_of<Error>([&] {
              Optimizer(parameters, {}, {{"w", nan}});
            }),
            "[Optimizer] factors: expected 0 or more for w, got nan");
  Optimizer optimizer(parameters, {});
  EXPECT_EQ(message_of<Error>([&] { optimizer.step(nan); }),
            "[Optimizer::step] learning_rate: expected 0 or more, got nan");
  EXPECT_EQ(message_of<Error>([&] { optimizer.clip_grad_norm(at::ones({}), 0); }),
            "[Optimizer::clip_grad_norm] max_norm: expected more than 0, got 0");
}

TEST_F(OptionChecks, NullPointersAndEmptyFunctionsAreNamed) {
  Trainer trainer(model(), InfoNCE(), options(2));
  EXPECT_EQ(message_of<Error>([&] { trainer.fit(std::shared_ptr<const PairSource>()); }),
            "[Trainer::fit] pairs: expected a data set, got a null pointer");
  EXPECT_EQ(message_of<Error>([&] { trainer.fit(std::shared_ptr<const EpisodeSource>()); }),
            "[Trainer::fit] episodes: expected demonstrations, got a null pointer");
  EXPECT_EQ(message_of<Error>([&] { trainer.on_step({}); }),
            "[Trainer::on_step] callback: expected a function, got an empty one");
  EXPECT_EQ(message_of<Error>([] { AnyLoss{std::function<at::Tensor(const ContrastiveBatch&)>()}; }),
            "[AnyLoss] function: expected one of a batch, got an empty one");
  EXPECT_EQ(refusal([](TrainerOptions& o) {
              o.targets = TargetRule{"mine", {}};
            }),
            "[Trainer] targets: the rule \"mine\" has no function make");
  EXPECT_EQ(message_of<Error>([] { Progress(nullptr); }),
            "[Progress] stream: expected an open one, got a null pointer");
}

TEST_F(OptionChecks, APolicysTrainerChecksAsMuch) {
  const auto policy = vla::Policy::create(model(), {.actions = {.horizon = 2, .dims = 2}, .width = 32});
  const auto refused = [&](const vla::AlignmentBeside& beside) {
    return message_of<Error>([&] { vla::PolicyTrainer(policy, options(2), beside); });
  };
  vla::PolicyTrainer trainer(policy, options(2));
  EXPECT_EQ(message_of<Error>([&] { trainer.fit(nullptr); }),
            "[PolicyTrainer::fit] episodes: expected demonstrations, got a null pointer");
  EXPECT_EQ(message_of<Error>([&] { trainer.on_step({}); }),
            "[PolicyTrainer::on_step] callback: expected a function, got an empty one");
  EXPECT_EQ(refused({.loss = InfoNCE(), .pairs = nullptr}),
            "[PolicyTrainer] alignment.pairs: expected a data set, got a null pointer");
  EXPECT_EQ(refused({.loss = InfoNCE(), .pairs = pairs_, .weight = nan}),
            "[PolicyTrainer] alignment.weight: expected 0 or more, got nan");
  EXPECT_EQ(refused({.loss = InfoNCE(), .pairs = pairs_, .batch_size = 0}),
            "[PolicyTrainer] alignment.batch_size: expected a positive number, got 0");
}

}  // namespace
}  // namespace vlalign::option_checks_test
