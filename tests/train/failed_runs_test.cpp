// Runs that go wrong: what they leave behind and what they report.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::failed_runs_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

constexpr auto nan = std::numeric_limits<double>::quiet_NaN();

/// InfoNCE, but NaN in the steps (counted from 1) for which `bad` holds.
AnyLoss loss_that_fails(std::function<bool(int)> bad) {
  auto step = std::make_shared<int>(0);
  return AnyLoss([step, bad = std::move(bad)](const ContrastiveBatch& b) {
    return InfoNCE().forward(b) * (bad(++*step) ? nan : 1.0);
  });
}

class FailedRuns : public test::Colours {
 protected:
  std::string latest(const fs::path& run) { return read_file(run / "checkpoints" / "latest"); }

  /// The model of a run of `steps` steps that is stopped after `step`.
  DualEncoder stopped_after(std::int64_t step, TrainerOptions how) {
    const auto stopped = model();
    how.out.clear();
    Trainer trainer(stopped, InfoNCE(), how);
    trainer.on_step([=](const StepResult& r) {
      if (r.step == step) throw std::runtime_error("stop");
    });
    EXPECT_THROW(trainer.fit(pairs_), std::runtime_error);
    return stopped;
  }

  TempFolder runs_;
};

TEST_F(FailedRuns, ACheckpointInsideAFailingStreakDoesNotReplaceTheOneBefore) {
  auto how = options(40);
  how.checkpoints.every = 2;
  how.ema_decay = 0.9;
  how.out = runs_.path() / "run";
  const auto complaint = message_of<Error>(
      [&] { Trainer(model(), loss_that_fails([](int step) { return step >= 6; }), how).fit(pairs_); });
  EXPECT_NE(complaint.find("not finite for 10 steps in a row, up to step 15"), std::string::npos) << complaint;
  EXPECT_EQ(latest(how.out), "step-00000004\n");
  EXPECT_FALSE(fs::exists(how.out / "checkpoints" / "step-00000006"));
  EXPECT_FALSE(fs::exists(how.out / "model"));
  expect_equal_bits(DualEncoder::load(how.out / "checkpoints" / "step-00000004"), stopped_after(4, how));
}

TEST_F(FailedRuns, ARunThatEndsInSkippedStepsKeepsItsLastGoodModelAndFails) {
  auto how = options(6);
  how.out = runs_.path() / "run";
  const auto complaint = message_of<Error>(
      [&] { Trainer(model(), loss_that_fails([](int step) { return step >= 5; }), how).fit(pairs_); });
  EXPECT_EQ(complaint,
            "the run ended in 2 skipped step(s), loss, gradient or statistics were not finite: the model is that of "
            "step 4; try a lower learning rate, a longer warm-up or a gradient clip");
  EXPECT_FALSE(fs::exists(how.out / "checkpoints" / "latest"));
  expect_equal_bits(DualEncoder::load(how.out / "model"), stopped_after(4, how));
}

TEST_F(FailedRuns, ARunThatSkipsMostOfItsStepsFails) {
  const auto fit = [&](std::function<bool(int)> bad) {
    return Trainer(model(), loss_that_fails(std::move(bad)), options(8)).fit(pairs_).skipped_steps;
  };
  EXPECT_EQ(fit([](int step) { return step % 2 == 1; }), 4);  // half of them
  const auto complaint = message_of<Error>([&] { fit([](int step) { return step <= 5; }); });
  EXPECT_NE(complaint.find("5 of the run's 8 steps were skipped"), std::string::npos) << complaint;
}

TEST_F(FailedRuns, AModelThatIsNotFiniteIsNoResult) {
  // One step with a finite gradient that takes the weights to infinity: no later loss tells of it.
  for (const bool into_a_folder : {false, true}) {
    auto how = options(1);
    how.learning_rate = 1e39;
    how.schedule.warmup = 0;
    if (into_a_folder) how.out = runs_.path() / "run";
    const auto complaint = message_of<Error>([&] { train(model(), how); });
    EXPECT_NE(complaint.find("the model after step 1: "), std::string::npos) << complaint;
    EXPECT_NE(complaint.find("holds a NaN or an infinity"), std::string::npos) << complaint;
    if (!into_a_folder) continue;
    EXPECT_FALSE(fs::exists(how.out / "model"));
    EXPECT_FALSE(fs::exists(how.out / "checkpoints" / "latest"));
  }
}

}  // namespace
}  // namespace vlalign::failed_runs_test
