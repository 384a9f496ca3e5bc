// Which checkpoints a run keeps, and what it does when one can't be written.
#include "train/checkpoint_folder.hpp"

#include <gtest/gtest.h>

#include <random>

#include "core/io/files.hpp"
#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "support/file_size_limit.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::checkpoint_folder_test {
namespace {

namespace fs = std::filesystem;
using test::CapturedLog;
using test::Colours;
using test::FileSizeLimit;
using test::message_of;
using test::TempFolder;

std::set<std::int64_t> steps_in(const fs::path& run) {
  std::set<std::int64_t> steps;
  for (const auto& path : entries_of(run / "checkpoints"))
    if (const auto step = step_of_checkpoint(path.filename().string())) steps.insert(*step);
  return steps;
}

/// A run without rules keeps all; each rule is looked at alone, for every step.
TEST(SuperfluousCheckpoints, AreThoseThatNoRuleKeeps) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::set<std::int64_t> steps;
    for (int i = 0; i < 12; ++i) steps.insert(1 + static_cast<std::int64_t>(random() % 30));
    const auto newest = *std::next(steps.begin(), static_cast<std::int64_t>(random() % steps.size()));
    const auto best = random() % 2 ? *steps.begin() : 0;
    const CheckpointOptions options{.keep_last = static_cast<std::int64_t>(random() % 4),
                                    .keep_every = static_cast<std::int64_t>(random() % 4)};
    const auto gone = superfluous_checkpoints(steps, options, newest, best);
    for (const auto step : steps) {
      const auto newer = std::count_if(steps.begin(), steps.end(), [&](auto s) { return s > step && s <= newest; });
      const bool kept = options.keep_last == 0 || step >= newest || step == best || newer < options.keep_last ||
                        (options.keep_every > 0 && step % options.keep_every == 0);
      EXPECT_EQ(gone.contains(step), !kept) << step;
    }
  }
}

class KeptCheckpoints : public Colours {
 protected:
  void SetUp() override {
    Colours::SetUp();
    how_ = options(12);
    how_.checkpoints.every = 1;
    how_.out = runs_.path() / "run";
  }

  TempFolder runs_;
  TrainerOptions how_;
};

TEST_F(KeptCheckpoints, AreTheLastAndThoseOfRoundSteps) {
  how_.checkpoints.keep_last = 2;
  how_.checkpoints.keep_every = 5;
  std::size_t most = 0;
  Trainer trainer(model(), InfoNCE(), how_);
  trainer.on_step([&](const StepResult&) { most = std::max(most, steps_in(how_.out).size()); });
  trainer.fit(pairs_);
  EXPECT_EQ(steps_in(how_.out), (std::set<std::int64_t>{5, 10, 11, 12}));
  EXPECT_LE(most, 4U);
}

TEST_F(KeptCheckpoints, ChangeNothingInARunThatGoesOn) {
  const auto whole = model();
  train(whole, how_);
  how_.out = runs_.path() / "stopped";
  how_.checkpoints.keep_last = 1;
  Trainer first(model(), InfoNCE(), how_);
  first.on_step([&](const StepResult& r) {
    if (r.step == 7) first.stop();
  });
  EXPECT_TRUE(first.fit(pairs_).stopped);
  EXPECT_EQ(steps_in(how_.out), std::set<std::int64_t>{7});
  how_.resume = true;
  const auto resumed = model(9);
  train(resumed, how_);
  expect_equal_bits(whole, resumed);
}

/// A kill came between a checkpoint and the removal of those before it.
TEST_F(KeptCheckpoints, AreTidiedWhenARunGoesOn) {
  how_.steps = 6;
  train(model(), how_);
  how_.resume = true;
  how_.steps = 7;
  how_.checkpoints.keep_last = 2;
  std::set<std::int64_t> first;
  Trainer trainer(model(9), InfoNCE(), how_);
  trainer.on_step([&](const StepResult&) { first = steps_in(how_.out); });
  trainer.fit(pairs_);
  EXPECT_EQ(first, (std::set<std::int64_t>{5, 6}));
}

TEST_F(KeptCheckpoints, ComeByTimeToo) {
  how_.checkpoints = {.every_minutes = 1e-9};  // which every step takes
  train(model(), how_);
  EXPECT_EQ(steps_in(how_.out).size(), 12U);
  how_.out = runs_.path() / "other";
  how_.checkpoints = {.every_minutes = 1e9};
  train(model(), how_);
  EXPECT_EQ(steps_in(how_.out), std::set<std::int64_t>{12});
}

/// Nothing of a checkpoint's size can be written from step 6 to step 8.
TEST_F(KeptCheckpoints, SurviveADiskThatIsFullForAWhile) {
  const auto whole = model();
  train(whole, how_);
  how_.out = runs_.path() / "full";
  how_.checkpoints.keep_last = 3;
  const auto trained = model();
  const CapturedLog log;
  std::optional<FileSizeLimit> full;
  Trainer trainer(trained, InfoNCE(), how_);
  std::set<std::int64_t> while_full;
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 6) full.emplace(4096);
    if (r.step == 8) while_full = steps_in(how_.out);
    if (r.step == 9) full.reset();
  });
  trainer.fit(pairs_);
  EXPECT_EQ(while_full, (std::set<std::int64_t>{4, 5}));  // one made room in vain, the newest stays
  EXPECT_EQ(steps_in(how_.out), (std::set<std::int64_t>{10, 11, 12}));
  EXPECT_EQ(metrics(how_.out).size(), 12U);
  expect_equal_bits(whole, trained);
  const auto told = log.text();
  EXPECT_NE(told.find("the checkpoint of step 6 could not be written"), std::string::npos) << told;
  EXPECT_NE(told.find("the last whole one is step-00000005. The run goes on"), std::string::npos) << told;
}

/// There is room for a model, and none for the moments beside it.
TEST_F(KeptCheckpoints, LeaveTheModelThoughTheLastOneDoesNotFit) {
  const auto trained = model();
  std::optional<FileSizeLimit> full;
  Trainer trainer(trained, InfoNCE(), how_);
  trainer.on_step([&](const StepResult& r) {
    const auto model_file = how_.out / "checkpoints" / "step-00000011" / "open_clip_model.safetensors";
    if (r.step == 12) full.emplace(fs::file_size(model_file) + 100);
  });
  const auto complaint = message_of<Error>([&] { trainer.fit(pairs_); });
  full.reset();
  EXPECT_NE(complaint.find("the checkpoint of step 12 could not be written"), std::string::npos) << complaint;
  EXPECT_NE(complaint.find("the run is over and its model is there"), std::string::npos) << complaint;
  expect_equal_bits(DualEncoder::load(how_.out / "model"), trained);
}

TEST_F(KeptCheckpoints, EndTheRunAtAFullDiskWhereToldTo) {
  how_.checkpoints.stop_on_full_disk = true;
  std::optional<FileSizeLimit> full;
  Trainer trainer(model(), InfoNCE(), how_);
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 6) full.emplace(4096);
  });
  const auto complaint = message_of<Error>([&] { trainer.fit(pairs_); });
  full.reset();
  EXPECT_EQ(complaint.find("the checkpoint of step 6 could not be written: "), 0U) << complaint;
  EXPECT_NE(complaint.find("the last whole one is step-00000005: make room and resume"), std::string::npos);
  EXPECT_EQ(read_file(how_.out / "checkpoints" / "latest"), "step-00000005\n");
  how_.resume = true;
  how_.checkpoints.stop_on_full_disk = false;
  train(model(9), how_);
  EXPECT_EQ(metrics(how_.out).size(), 12U);
}

TEST_F(KeptCheckpoints, LeaveAFolderThatIsNotTheirs) {
  how_.checkpoints.keep_last = 1;
  const CapturedLog log;
  Trainer trainer(model(), InfoNCE(), how_);
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 4) write_file_atomically(how_.out / "checkpoints" / "step-00000003" / "notes.txt", "mine");
  });
  trainer.fit(pairs_);
  EXPECT_EQ(read_file(how_.out / "checkpoints" / "step-00000003" / "notes.txt"), "mine");
  EXPECT_EQ(steps_in(how_.out), (std::set<std::int64_t>{3, 12}));
  EXPECT_NE(log.text().find("notes.txt is in it"), std::string::npos);
}

}  // namespace
}  // namespace vlalign::checkpoint_folder_test
