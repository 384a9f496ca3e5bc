#include "vlalign/train/schedule.hpp"

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numbers>
#include <string>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign::schedule_test {
namespace {

using Shape = Schedule::Shape;
using test::message_of;

NamedTensors figures(const char* file) {
  return read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "train" / file).tensors;
}

TEST(Schedule, EqualsThePeersWarmupAndCosine) {
  const auto rates = figures("figures.safetensors").at("schedule");
  for (int step = 0; step < 10; ++step)
    EXPECT_NEAR(learning_rate_factor({.warmup = 3}, step, 10), rates[step].item<double>(), 1e-9) << step;
}

TEST(Schedule, EqualsTorchsSchedulersOneBehindTheOther) {
  const auto expected = figures("optimizers.safetensors");
  for (const auto* name : {"cosine", "constant", "constant-cooldown"}) {
    const Schedule schedule{.shape = parse_schedule(name), .warmup = 8, .cooldown_share = 0.25};
    const auto& rates = expected.at(std::string("schedule.") + name);
    for (int step = 0; step < 100; ++step)
      EXPECT_NEAR(learning_rate_factor(schedule, step, 100), rates[step].item<double>(), 1e-12) << name << ", " << step;
  }
}

TEST(Schedule, IsWhatItsFormulaSays) {
  for (const std::int64_t step : {0, 1, 7, 30, 69, 70, 71, 99}) {
    const double s = static_cast<double>(step);
    const auto factor = [&](Shape shape) {
      return learning_rate_factor({.shape = shape, .warmup = 10, .cooldown_share = 0.3}, step, 100);
    };
    const double warmup = (s + 1) / 10;
    EXPECT_DOUBLE_EQ(factor(Shape::constant), step < 10 ? warmup : 1);
    EXPECT_NEAR(factor(Shape::cosine), step < 10 ? warmup : std::pow(std::cos(std::numbers::pi / 2 * (s - 10) / 90), 2),
                1e-12);
    EXPECT_NEAR(factor(Shape::constant_cooldown), step < 10 ? warmup : step < 70 ? 1 : 1 - (s - 70) / 30, 1e-12);
  }
}

/// Up to its cool-down a run is that of another length.
TEST(Schedule, WithACooldownCanBeLengthened) {
  const Schedule schedule{.shape = Shape::constant_cooldown, .warmup = 5};
  for (int step = 0; step < 80; ++step)
    EXPECT_EQ(learning_rate_factor(schedule, step, 100), learning_rate_factor(schedule, step, 1000)) << step;
  EXPECT_LT(learning_rate_factor(schedule, 81, 100), 1);
}

TEST(Schedule, NeedsNoWarmup) { EXPECT_DOUBLE_EQ(learning_rate_factor({.warmup = 0}, 0, 10), 1.0); }

TEST(Schedule, WarmsUpForStepsForAShareOrForATenth) {
  EXPECT_EQ(warmup_steps({.warmup = 7}, 100), 7);
  EXPECT_EQ(warmup_steps({.warmup_share = 0.25}, 1000), 250);
  EXPECT_EQ(warmup_steps({.warmup_share = 0.29}, 100), 29);  // 0.29 * 100 is 28.999...
  EXPECT_EQ(warmup_steps({}, 100), 10);
  EXPECT_EQ(warmup_steps({}, 1'000'000), 2000);
  EXPECT_EQ(warmup_steps({}, 1), 0);
}

TEST(Schedule, ThatCantBeIsRefused) {
  const auto refusal = [](const Schedule& schedule) {
    return message_of<Error>([&] { learning_rate_factor(schedule, 0, 100); });
  };
  constexpr auto nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(refusal({.warmup = -1}), "[Trainer] warmup: expected 0 or more steps, got -1");
  EXPECT_EQ(refusal({.warmup = 100}), "[Trainer] warmup: 100 steps leave none of the run's 100");
  EXPECT_EQ(refusal({.warmup_share = 1.0}), "[Trainer] warmup_share: expected 0 to below 1, got 1");
  EXPECT_EQ(refusal({.warmup_share = nan}), "[Trainer] warmup_share: expected 0 to below 1, got nan");
  EXPECT_EQ(refusal({.warmup_share = 0.999}), "[Trainer] warmup: 100 steps leave none of the run's 100");
  EXPECT_EQ(refusal({.warmup = 5, .warmup_share = 0.1}),
            "[Trainer] warmup_share: warmup says it in steps; leave one of them out");
  EXPECT_EQ(refusal({.cooldown_share = 0}), "[Trainer] cooldown_share: expected above 0, up to 1, got 0");
  EXPECT_EQ(refusal({.shape = Shape::constant_cooldown, .warmup = 30, .cooldown_share = 0.8}),
            "[Trainer] cooldown_share: 80 steps and a warm-up of 30 are more than the run's 100");
  EXPECT_EQ(message_of<Error>([] { parse_schedule("linear"); }),
            "unknown schedule \"linear\": it is cosine, constant or constant-cooldown");
}

}  // namespace
}  // namespace vlalign::schedule_test
