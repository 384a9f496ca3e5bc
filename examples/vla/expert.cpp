#include "expert.hpp"

#include <algorithm>
#include <cmath>

namespace tabletop {
namespace {

constexpr double high = 0.12, low = 0.02;

double normal(vlalign::Rng& rng) {
  return std::sqrt(-2 * std::log(1 - rng.uniform())) * std::cos(6.2831853 * rng.uniform());
}

/// Towards a place at most a step away in each direction.
std::array<float, action_dims> towards(const std::array<float, state_dims>& state, double x, double y, double z,
                                       bool close) {
  const auto part = [](double to, double from) {
    return static_cast<float>(std::clamp((to - from) / step_length, -1.0, 1.0));
  };
  return {part(x, state[0]), part(y, state[1]), part(z, state[2]), close ? 1.0F : -1.0F};
}

}  // namespace

Expert::Expert(const EpisodeStart& start, std::uint64_t seed, double noise)
    : task_(start.task), rng_({0x657870657274, seed}), noise_(noise) {}

std::array<float, action_dims> Expert::grasp(const Simulation& simulation) const {
  const auto state = simulation.state();
  const auto target = simulation.position(task_.target);
  const double off = std::hypot(target[0] - state[0], target[1] - state[1]);
  const bool closing = state[3] < 1;  // begun, so stay
  if (simulation.held() == task_.target) return towards(state, state[0], state[1], 0.2, true);
  if (off > 0.012 && !closing)
    return towards(state, target[0], target[1], off > 0.05 ? high : std::max<double>(low, state[2]), false);
  if (state[2] > low + 0.012 && !closing) return towards(state, target[0], target[1], low, false);
  const bool missed = state[3] == 0;  // closed around nothing: open and try again
  return towards(state, target[0], target[1], missed ? high : low, !missed);
}

std::array<float, action_dims> Expert::push(const Simulation& simulation) {
  const auto state = simulation.state();
  const auto target = simulation.position(task_.target);
  const auto [sx, sy] = direction(task_.side);
  constexpr double back = 0.075;
  const double bx = target[0] - back * sx, by = target[1] - back * sy;
  if (!simulation.is_stick()) return towards(state, bx, by, high, true);
  const double along = (state[0] - target[0]) * sx + (state[1] - target[1]) * sy;
  const double aside = std::abs((state[0] - target[0]) * sy - (state[1] - target[1]) * sx);
  if (!down_) {
    const bool there = aside < 0.01 && along < -0.06 && along > -0.095;
    if (there && state[2] < low + 0.012)
      down_ = true;
    else
      return towards(state, bx, by, there ? low : high, true);
  }
  if (aside > 0.025 || along > -0.01) {  // slipped off: up and again
    down_ = false;
    return towards(state, state[0], state[1], high, true);
  }
  constexpr double stride = 0.8 * step_length;
  // Forwards, steering to the object's middle.
  const double x = target[0] * std::abs(sy) + std::abs(sx) * (state[0] + stride * sx),
               y = target[1] * std::abs(sx) + std::abs(sy) * (state[1] + stride * sy);
  return towards(state, x, y, low, true);
}

std::array<float, action_dims> Expert::act(const Simulation& simulation) {
  auto action = task_.skill == Skill::grasp ? grasp(simulation) : push(simulation);
  for (std::size_t i = 0; i < 3; ++i)
    action[i] = static_cast<float>(std::clamp(action[i] + noise_ * normal(rng_), -1.0, 1.0));
  return action;
}

}  // namespace tabletop
