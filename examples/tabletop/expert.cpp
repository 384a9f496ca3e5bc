#include "tabletop/expert.hpp"

#include <algorithm>
#include <cmath>

namespace tabletop {
namespace {

using Action = std::array<float, action_size>;
using Point = std::array<double, 3>;

constexpr double travel_height = 0.095;  // clear of every object
constexpr double work_height = 0.012;
constexpr double is_low = 0.03;
constexpr double on_the_spot = 0.012;
constexpr double slope = 2.5;     // of the way down
constexpr double behind = 0.068;  // where a push begins, from the target's middle

Action towards(const Point& hand, const Point& goal, bool closes, double fastest = 1) {
  Point way;
  double longest = fastest;
  for (int axis = 0; axis < 3; ++axis) {
    way[axis] = (goal[axis] - hand[axis]) / largest_step;
    if (axis < 2) longest = std::max(longest, std::abs(way[axis]));
  }
  Action action{};
  for (int axis = 0; axis < 2; ++axis) action[axis] = static_cast<float>(way[axis] * fastest / longest);
  action[2] = static_cast<float>(std::clamp(way[2], -1.0, 1.0));
  action[3] = closes ? 1.0F : -1.0F;
  return action;
}

// A funnel over a place on the table: the farther from it, the higher, at most as high as travel.
double height_on_the_way(double distance) {
  return std::clamp(work_height + slope * (distance - on_the_spot), work_height, travel_height);
}

Action grasp(const Point& hand, double opening, const Object& target) {
  if (target.is_held) return towards(hand, {hand[0], hand[1], hand[2] + largest_step}, true);
  const auto distance = std::hypot(target.x - hand[0], target.y - hand[1]);
  const bool is_there = distance < 0.025 && hand[2] < is_low;
  return towards(hand, {target.x, target.y, is_there ? work_height : height_on_the_way(distance)},
                 is_there && opening > 0);
}

Action push(const Point& hand, double opening, const Object& target, Side side) {
  const auto [x, y] = direction(side);
  const auto along = x * (hand[0] - target.x) + y * (hand[1] - target.y);
  const auto aside = x * (hand[1] - target.y) - y * (hand[0] - target.x);
  const bool is_behind = along < -0.02 && std::abs(aside) < 0.03;
  if (hand[2] < is_low && is_behind && opening == 0) {
    // Ahead of the hand and on the line through the target's middle, to which it keeps.
    const auto ahead = 0.028;
    const Point goal{hand[0] + ahead * x + aside * y, hand[1] + ahead * y - aside * x, work_height};
    return towards(hand, goal, true);
  }
  const Point start{target.x - behind * x, target.y - behind * y, 0};
  const auto distance = std::hypot(start[0] - hand[0], start[1] - hand[1]);
  return towards(hand, {start[0], start[1], height_on_the_way(distance)}, true);
}

}  // namespace

Expert::Expert(const EpisodeStart& start, std::uint64_t seed, double noise)
    : task_(start.task), rng_({seed, 0x65787065}), noise_(noise) {}

std::array<float, action_size> Expert::wanted(const Simulation& simulation) const {
  const auto scene = simulation.scene();
  const auto& target = scene.objects[task_.target];
  const double opening = simulation.state()[3];
  return task_.skill == Skill::grasp ? grasp(scene.gripper, opening, target)
                                     : push(scene.gripper, opening, target, task_.side);
}

std::array<float, action_size> Expert::act(const Simulation& simulation) {
  auto action = wanted(simulation);
  if (noise_ <= 0) return action;
  if (steps_astray_ > 0) {
    --steps_astray_;
  } else if (rng_.chance(0.05)) {
    steps_astray_ = 2;
    for (auto& axis : stray_) axis = rng_.uniform(-0.8, 0.8);
  }
  for (int axis = 0; axis < 3; ++axis) {
    const auto stray = steps_astray_ > 0 ? stray_[axis] : 0.0;
    const auto shaken = action[axis] + noise_ * (stray + rng_.uniform(-0.25, 0.25));
    action[axis] = static_cast<float>(std::clamp(shaken, -1.0, 1.0));
  }
  return action;
}

}  // namespace tabletop
