// Whole runs with each optimizer and schedule.
#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include "support/colours.hpp"

namespace vlalign::optimizer_run_test {
namespace {

using nlohmann::json;
using test::TempFolder;

struct Way {
  const char* optimizer;
  const char* schedule;
  double learning_rate;
};

class OptimizerRun : public test::Colours, public testing::WithParamInterface<Way> {
 protected:
  TrainerOptions how(std::int64_t steps) const {
    auto o = options(steps);
    o.learning_rate = GetParam().learning_rate;
    o.optimizer = parse_optimizer(GetParam().optimizer);
    o.schedule = {.shape = parse_schedule(GetParam().schedule), .warmup_share = 0.2};
    return o;
  }
};

INSTANTIATE_TEST_SUITE_P(With, OptimizerRun,
                         testing::Values(Way{"adamw", "constant", 3e-3}, Way{"lamb", "cosine", 3e-2},
                                         Way{"lion", "constant-cooldown", 5e-4}, Way{"muon", "cosine", 3e-3}),
                         [](const auto& way) { return std::string(way.param.optimizer); });

TEST_P(OptimizerRun, LearnsTheColours) {
  auto o = how(60);
  o.batch_size = 8;
  EXPECT_GE(train(model(), o).last.accuracy, 0.75);  // chance: an eighth
}

TEST_P(OptimizerRun, ResumesToTheSameBits) {
  const TempFolder runs;
  auto o = how(10);
  o.checkpoints.every = 4;
  o.out = runs.path() / "whole";
  const auto whole = model();
  train(whole, o);

  o.out = runs.path() / "stopped";
  Trainer stopped(model(), InfoNCE(), o);
  stopped.on_step([](const StepResult& r) {
    if (r.step == 6) throw std::runtime_error("pulled the plug");
  });
  EXPECT_THROW(stopped.fit(pairs_), std::runtime_error);
  o.resume = true;
  const auto resumed = model(99);
  train(resumed, o);
  expect_equal_bits(whole, resumed);

  const auto lines = metrics(o.out);
  ASSERT_EQ(lines.size(), 10U);
  EXPECT_DOUBLE_EQ(lines[0].at("lr").get<double>(), o.learning_rate / 2);  // 0.2 of 10 steps
  EXPECT_DOUBLE_EQ(lines[2].at("lr").get<double>(), o.learning_rate);
  const double last = std::string(GetParam().schedule) == "constant" ? 1 : 0.5;
  EXPECT_LE(lines[9].at("lr").get<double>(), last * o.learning_rate);
}

TEST_P(OptimizerRun, IsNotedInItsConfig) {
  const TempFolder runs;
  auto o = how(5);
  o.out = runs.path() / "run";
  train(model(), o);
  const auto config = json::parse(read_file(o.out / "config.json"));
  const std::string name = GetParam().optimizer, schedule = GetParam().schedule;
  EXPECT_EQ(config.at("optimizer"), name);
  EXPECT_EQ(config.at("schedule"), schedule);
  EXPECT_EQ(config.at("warmup"), 1);
  EXPECT_EQ(config.contains("cooldown_share"), schedule == "constant-cooldown");
  EXPECT_EQ(config.contains("beta1"), name == "adamw");
  EXPECT_EQ(config.contains(name), name != "adamw");
}

}  // namespace
}  // namespace vlalign::optimizer_run_test
