#include "vlalign/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.hpp"
#include "train/option_checks.hpp"

namespace vlalign {
namespace {

std::int64_t share_of(std::int64_t steps, double share) {
  return static_cast<std::int64_t>(std::llround(share * static_cast<double>(steps)));
}

std::int64_t cooldown_steps(const Schedule& schedule, std::int64_t steps) {
  if (schedule.shape != Schedule::Shape::constant_cooldown) return 0;
  return std::max<std::int64_t>(1, share_of(steps, schedule.cooldown_share));
}

double ratio(std::int64_t part, std::int64_t whole) { return static_cast<double>(part) / static_cast<double>(whole); }

}  // namespace

std::int64_t warmup_steps(const Schedule& schedule, std::int64_t steps) {
  check_options(schedule);
  const auto usual = std::min<std::int64_t>(2000, steps / 10);
  const auto warmup = schedule.warmup_share ? share_of(steps, *schedule.warmup_share) : schedule.warmup.value_or(usual);
  check(warmup < steps, "[Trainer] warmup: {} steps leave none of the run's {}", warmup, steps);
  const auto cooldown = cooldown_steps(schedule, steps);
  check(cooldown <= steps - warmup, "[Trainer] cooldown_share: {} steps and a warm-up of {} are more than the run's {}",
        cooldown, warmup, steps);
  return warmup;
}

double learning_rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t steps) {
  const auto warmup = warmup_steps(schedule, steps), cooldown = cooldown_steps(schedule, steps);
  if (step < warmup) return ratio(step + 1, warmup);
  if (schedule.shape == Schedule::Shape::cosine)
    return 0.5 * (1.0 + std::cos(std::numbers::pi * ratio(step - warmup, steps - warmup)));
  return step < steps - cooldown ? 1.0 : ratio(steps - step, cooldown);
}

Schedule::Shape parse_schedule(std::string_view name) {
  for (const auto shape : {Schedule::Shape::cosine, Schedule::Shape::constant, Schedule::Shape::constant_cooldown})
    if (name == to_string(shape)) return shape;
  fail("unknown schedule \"{}\": it is cosine, constant or constant-cooldown", name);
}

std::string_view to_string(Schedule::Shape shape) {
  if (shape == Schedule::Shape::cosine) return "cosine";
  return shape == Schedule::Shape::constant ? "constant" : "constant-cooldown";
}

}  // namespace vlalign
