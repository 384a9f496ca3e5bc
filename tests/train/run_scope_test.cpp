// What a run changes around it, and puts back.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/rand.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/affinity_distillation.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::run_scope_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

/// Colours whose picture `broken` can't be read, because the source itself fails.
class FailingPairs : public PairSource {
 public:
  explicit FailingPairs(std::shared_ptr<const PairSource> pairs) : pairs_(std::move(pairs)) {}
  std::int64_t size() const override { return pairs_->size(); }
  std::string name(std::int64_t i) const override { return pairs_->name(i); }
  std::vector<std::string> captions(std::int64_t i) const override { return pairs_->captions(i); }
  Pair read(std::int64_t) const override { throw std::runtime_error("the disk is gone"); }

 private:
  std::shared_ptr<const PairSource> pairs_;
};

class RunScopes : public test::Colours {
 protected:
  /// All that a run may leave behind, as numbers that are compared before and after.
  struct Around {
    int threads = at::get_num_threads();
    bool gradients = at::GradMode::is_enabled();
    at::Tensor generator = at::globalContext().defaultGenerator(c10::kCPU).get_state();
    std::vector<bool> requires_grad{}, teacher_training{};
    std::vector<at::Tensor> grads{};

    bool operator==(const Around& o) const {
      bool same = threads == o.threads && gradients == o.gradients && generator.equal(o.generator) &&
                  requires_grad == o.requires_grad && teacher_training == o.teacher_training &&
                  grads.size() == o.grads.size();
      for (std::size_t i = 0; same && i < grads.size(); ++i) same = grads[i].is_same(o.grads[i]);
      return same;
    }
  };

  static Around around(const DualEncoder& model, const DualEncoder& teacher) {
    Around a;
    for (const auto& parameter : model.module()->parameters()) {
      a.requires_grad.push_back(parameter.requires_grad());
      a.grads.push_back(parameter.grad());
    }
    for (const auto& part : teacher.module()->modules(false)) a.teacher_training.push_back(part->is_training());
    return a;
  }

  /// Changes all that it can: threads, generator, freezing, a teacher.
  TrainerOptions demanding(const DualEncoder& teacher) const {
    auto how = options(4);
    how.threads = at::get_num_threads() + 1;
    how.fine_tuning = {.freeze = {"text.*"}, .freeze_batch_norm = true};
    how.ema_decay = 0.5;
    how.teacher = teacher;
    return how;
  }
};

TEST_F(RunScopes, AllIsAsBeforeHoweverTheRunEnds) {
  const auto trained = model(1, /*resnet=*/true), teacher = model(2);
  teacher.module()->visual->train(false);  // its text tower is in training mode
  trained.module()->parameters()[3].mutable_grad() = at::full_like(trained.module()->parameters()[3].detach(), 7.0);
  const auto before = around(trained, teacher);
  const auto how = demanding(teacher);
  const auto fit = [&](const AnyLoss& loss, std::function<void(const StepResult&)> on_step,
                       std::shared_ptr<const PairSource> pairs) {
    Trainer trainer(trained, loss, how);
    EXPECT_EQ(around(trained, teacher), before);  // a Trainer alone changes nothing
    trainer.on_step(on_step);
    trainer.fit(std::move(pairs));
  };
  int threads_inside = 0;
  const auto look = [&](const StepResult&) { threads_inside = at::get_num_threads(); };
  const auto stop = [](const StepResult&) { throw std::runtime_error("stop"); };
  const AnyLoss distill = AffinityDistillation();
  const AnyLoss broken(
      [](const ContrastiveBatch& b) -> at::Tensor {
        (b.image * b.text).sum().backward();  // leaves gradients behind
        throw std::runtime_error("broken");
      },
      BatchParts{.teacher = true});

  fit(distill, look, pairs_);
  EXPECT_EQ(threads_inside, how.threads);
  EXPECT_EQ(around(trained, teacher), before);
  EXPECT_FALSE(trained.module()->is_training());

  EXPECT_THROW(fit(distill, stop, pairs_), std::runtime_error);
  EXPECT_EQ(around(trained, teacher), before);
  EXPECT_FALSE(trained.module()->is_training());

  EXPECT_THROW(fit(broken, look, pairs_), std::runtime_error);
  EXPECT_EQ(around(trained, teacher), before);
  EXPECT_FALSE(trained.module()->is_training());

  EXPECT_THROW(fit(distill, look, std::make_shared<FailingPairs>(pairs_)), std::runtime_error);
  EXPECT_EQ(around(trained, teacher), before);
  EXPECT_FALSE(trained.module()->is_training());
}

TEST_F(RunScopes, ATrainerFreezesDuringItsOwnRunOnly) {
  const auto trained = model(), expected = model();
  auto frozen = options(3);
  frozen.fine_tuning.freeze = {"visual.*", "text.*"};
  const Trainer idle(trained, InfoNCE(), frozen);
  train(trained, options(3));
  train(expected, options(3));
  expect_equal_bits(trained, expected);
}

TEST_F(RunScopes, WhatHappensToTheModelBetweenTwoStepsDoesNotReachTheRun) {
  // Batch norms tell training from evaluation.
  const auto watched = model(1, true), alone = model(1, true);
  const Image grey{32, 32, std::vector<std::uint8_t>(3 * 32 * 32, 128)};
  Trainer trainer(watched, InfoNCE(), options(5));
  trainer.on_step([&](const StepResult&) {
    EXPECT_FALSE(watched.module()->is_training());
    const LiveEncoder live(watched);
    std::vector<float> row(static_cast<std::size_t>(live.dim()));
    live.embed(ImageView(grey), row);
  });
  trainer.fit(pairs_);
  train(alone, options(5));
  expect_equal_bits(watched, alone);
}

TEST_F(RunScopes, GradientsOfBeforeDoNotReachTheFirstStep) {
  const auto used = model(), fresh = model();
  for (const auto& parameter : used.module()->parameters())
    parameter.mutable_grad() = at::full_like(parameter.detach(), 100.0);
  train(used, options(2));
  train(fresh, options(2));
  expect_equal_bits(used, fresh);
}

TEST_F(RunScopes, ARunTrainsWhereGradientsAreOff) {
  const auto off = model(), on = model();
  {
    const at::NoGradGuard no_graph;
    train(off, options(2));
    EXPECT_FALSE(at::GradMode::is_enabled());
  }
  train(on, options(2));
  expect_equal_bits(off, on);
}

TEST_F(RunScopes, AnAverageThatCannotBeWrittenLeavesTheModel) {
  const TempFolder runs;
  auto how = options(6);
  how.ema_decay = 0.9;
  how.checkpoints.every = 2;
  how.out = runs.path() / "run";
  const auto trained = model(), expected = model();
  Trainer trainer(trained, InfoNCE(), how);
  trainer.on_step([&](const StepResult& r) {
    if (r.step != 2) return;
    fs::remove_all(how.out);
    write_file_atomically(how.out, "a file where the folder was");
  });
  EXPECT_THROW(trainer.fit(pairs_), Error);

  auto plain = options(6);
  Trainer stopped(expected, InfoNCE(), plain);
  stopped.on_step([](const StepResult& r) {
    if (r.step == 2) throw std::runtime_error("stop");
  });
  EXPECT_THROW(stopped.fit(pairs_), std::runtime_error);
  expect_equal_bits(trained, expected);
}

TEST_F(RunScopes, ASecondFitIsANewRunWithTheModelAsItIs) {
  const auto twice = model(), by_two = model();
  auto how = options(4);
  how.fine_tuning.freeze = {"visual.*"};
  how.ema_decay = 0.9;
  Trainer trainer(twice, InfoNCE(), how);
  trainer.fit(pairs_);
  const auto second = trainer.fit(pairs_);
  train(by_two, how);
  const auto expected = train(by_two, how);
  expect_equal_bits(twice, by_two);
  EXPECT_EQ(second.last.step, 4);
  EXPECT_EQ(second.last.loss, expected.last.loss);
}

TEST_F(RunScopes, ASecondFitIntoTheSameFolderIsRefusedOrTellsTheRunsOwnResult) {
  const TempFolder runs;
  auto how = options(4);
  how.out = runs.path() / "run";
  Trainer trainer(model(), InfoNCE(), how);
  const auto first = trainer.fit(pairs_);
  EXPECT_EQ(message_of<Error>([&] { trainer.fit(pairs_); }),
            how.out.string() + ": already holds a run; resume it (--resume) or choose another folder");
  how.resume = true;
  const auto again = train(model(9), how);
  EXPECT_EQ(again.last.step, 4);
  EXPECT_EQ(again.last.loss, first.last.loss);
  EXPECT_EQ(again.last.accuracy, first.last.accuracy);
  EXPECT_EQ(again.last.learning_rate, first.last.learning_rate);
  EXPECT_EQ(again.last.samples_seen, first.last.samples_seen);
}

}  // namespace
}  // namespace vlalign::run_scope_test
