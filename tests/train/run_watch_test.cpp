#include "train/run_watch.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>

#include "vlalign/core/random.hpp"

namespace vlalign::run_watch_test {
namespace {

constexpr std::int64_t batch = 256;

double normal(Rng& rng) {
  const double radius = std::sqrt(-2 * std::log(1 - rng.uniform()));
  return radius * std::cos(2 * std::numbers::pi * rng.uniform());
}

/// A run as they are: the loss falls from the logarithm of the batch size, with noise of a quarter of its size, while
/// accuracy and scale rise.
StepResult usual(std::int64_t step, Rng& rng) {
  const double way = std::exp(-static_cast<double>(step) / 400);
  StepResult result;
  result.step = step;
  result.samples_seen = batch * step;
  result.loss = (0.2 + (std::log(batch) - 0.2) * way) * std::exp(0.25 * normal(rng));
  result.accuracy = std::clamp(0.95 - 0.95 * way + 0.02 * normal(rng), 0.0, 1.0);
  result.learning_rate = 1e-3 * std::min(1.0, static_cast<double>(step) / 100);
  result.logit_scale = 14.3 + 20 * (1 - way);
  result.pairs_per_s = batch / 0.5;
  result.wait_s = 0.02 * rng.uniform();
  return result;
}

struct Line {
  std::int64_t step;
  std::string text;
};

/// What is said of a run of usual steps that `change` has changed.
std::vector<Line> lines_of(std::int64_t steps, const std::function<void(StepResult&)>& change, std::uint64_t seed = 1) {
  RunWatch watch(batch);
  Rng rng({seed});
  std::vector<Line> lines;
  for (std::int64_t step = 1; step <= steps; ++step) {
    auto result = usual(step, rng);
    change(result);
    for (const auto& text : watch.note(result)) lines.push_back({step, text});
  }
  return lines;
}

/// Expects one line, which says so, from this step on and at most `within` steps later.
void expect_one(const std::vector<Line>& lines, std::string_view what, std::int64_t from, std::int64_t within) {
  ASSERT_EQ(lines.size(), 1U) << (lines.empty() ? "" : lines.back().text);
  EXPECT_NE(lines[0].text.find(what), std::string::npos) << lines[0].text;
  EXPECT_NE(lines[0].text.find("step " + std::to_string(lines[0].step)), std::string::npos) << lines[0].text;
  EXPECT_GE(lines[0].step, from);
  EXPECT_LE(lines[0].step, from + within);
}

TEST(RunWatch, SaysNothingOfUsualRuns) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto lines = lines_of(
        5000, [](StepResult&) {}, seed);
    EXPECT_TRUE(lines.empty()) << "seed " << seed << ": " << lines[0].text;
  }
}

TEST(RunWatch, TellsALossThatJumpsOnce) {
  const auto jump = [](StepResult& r) { r.loss += r.step >= 1000 && r.step < 1200 ? 3 : 0; };
  expect_one(lines_of(3000, jump), "the loss has jumped", 1000, 5);
}

TEST(RunWatch, TellsANextJumpFiveHundredStepsLaterOnly) {
  const auto jumps = [](std::int64_t pause) {
    return [pause](StepResult& r) { r.loss += r.step >= 1000 && (r.step - 1000) % pause < 10 ? 3 : 0; };
  };
  EXPECT_EQ(lines_of(3000, jumps(600)).size(), 4U);  // at 1,000, 1,600, 2,200 and 2,800
  EXPECT_EQ(lines_of(3000, jumps(300)).size(), 4U);  // at 1,000, 1,600, 2,200 and 2,800: each other one is too soon
}

TEST(RunWatch, TakesOneOddBatchAsOne) {
  EXPECT_TRUE(lines_of(3000, [](StepResult& r) { r.loss += r.step % 100 == 0 ? 5 : 0; }).empty());
}

TEST(RunWatch, FindsAJumpInALossOfAnySignAndSize) {
  const auto around = [](double center, double noise, double size) {
    return [=](StepResult& r) {
      r.loss = center + noise * std::sin(static_cast<double>(r.step)) + (r.step > 700 ? size : 0);
    };
  };
  expect_one(lines_of(1000, around(-2, 0.1, 2)), "the loss has jumped", 700, 5);
  expect_one(lines_of(1000, around(1e-2, 1e-3, 1e-1)), "the loss has jumped", 700, 5);
  EXPECT_TRUE(lines_of(1000, around(-2, 0.1, 0.3)).empty());
  EXPECT_TRUE(lines_of(1000, around(0, 0, 1e-5)).empty());
}

/// Chance: what embeddings that say nothing have.
void guess(StepResult& result) {
  result.loss = std::log(batch) + 0.01 * std::sin(static_cast<double>(result.step));
  result.accuracy = result.step % 2 == 0 ? 2.0 / batch : 0;
}

TEST(RunWatch, TellsALossThatStaysAtChance) {
  // Behind the warm-up of 100 steps, in which it may.
  expect_one(lines_of(3000, guess), "the logarithm of the batch size", 300, 10);
}

TEST(RunWatch, TellsARateOfZeroByTheLossThatStays) {
  const auto lines = lines_of(3000, [](StepResult& r) {
    guess(r);
    r.learning_rate = 0;
  });
  expect_one(lines, "the learning rate, now 0:", 200, 0);
}

TEST(RunWatch, LeavesALossNearTheLogarithmAloneWhereSomethingIsLearned) {
  const auto learning = [](StepResult& r) {
    guess(r);
    r.accuracy = 0.05;
  };
  EXPECT_TRUE(lines_of(3000, learning).empty());
  EXPECT_TRUE(lines_of(90, guess).empty());
}

TEST(RunWatch, TellsAScaleAtItsBounds) {
  const auto high = [](StepResult& r) { r.logit_scale = std::min(100.0, 0.1 * static_cast<double>(r.step)); };
  expect_one(lines_of(3000, high), "upper bound, 100", 1000, 100);
  const auto low = [](StepResult& r) { r.logit_scale = std::max(1.0, 14 - 0.1 * static_cast<double>(r.step)); };
  expect_one(lines_of(3000, low), "lower bound, 1", 130, 100);
  EXPECT_TRUE(lines_of(3000, [](StepResult& r) { r.logit_scale = 99; }).empty());
}

TEST(RunWatch, TellsAnAccuracyOfOne) {
  const auto all_right = [](StepResult& r) { r.accuracy = r.step > 1000 && r.step % 50 != 0 ? 1 : 0.99; };
  expect_one(lines_of(3000, all_right), "a batch of 256", 1200, 100);
  EXPECT_TRUE(lines_of(3000, [](StepResult& r) { r.accuracy = r.step % 3 == 0 ? 0.98 : 1; }).empty());
}

TEST(RunWatch, TellsWaitingAboveAFifth) {
  const auto waits = [](double share) { return [share](StepResult& r) { r.wait_s = share * 0.5; }; };
  expect_one(lines_of(3000, waits(0.3)), "30% of the last 100 steps' time", 110, 0);
  EXPECT_TRUE(lines_of(3000, waits(0.19)).empty());
  // The first steps fill the caches.
  EXPECT_TRUE(lines_of(3000, [](StepResult& r) { r.wait_s = r.step <= 10 ? 30 : 0; }).empty());
}

TEST(RunWatch, JudgesWaitingByHalfAMinuteOfQuickSteps) {
  const auto quick = [](StepResult& r) {
    r.pairs_per_s = batch / 0.01;
    r.wait_s = 0.005;
  };
  expect_one(lines_of(4000, quick), "50% of the last 3", 3010, 1);
}

TEST(RunWatch, TellsManySkippedSteps) {
  const auto skips = [](std::int64_t every) {
    return [every](StepResult& r) {
      r.skipped = r.step % every == 0;
      if (r.skipped) r.loss = std::numeric_limits<double>::quiet_NaN();
    };
  };
  expect_one(lines_of(3000, skips(40)), "were not finite", 400, 0);
  EXPECT_TRUE(lines_of(3000, skips(60)).empty());
}

TEST(RunWatch, KeepsSilentAboutWhatAPolicyDoesNotHave) {
  const auto policy = [](StepResult& r) {
    guess(r);
    r.action_loss = r.loss;
    r.accuracy = r.step % 2 == 0 ? 0 : 1;
    r.logit_scale = r.step < 1500 ? 100 : 1;
  };
  EXPECT_TRUE(lines_of(3000, policy).empty());
  const auto jumps = [&](StepResult& r) {
    policy(r);
    r.loss += r.step > 1000 ? 10 : 0;
  };
  expect_one(lines_of(1200, jumps), "the loss has jumped", 1000, 5);
}

}  // namespace
}  // namespace vlalign::run_watch_test
