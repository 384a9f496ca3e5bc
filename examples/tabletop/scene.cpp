#include "tabletop/scene.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace tabletop {
namespace {

using vlalign::Rng;

constexpr double reach = 0.18;      // objects start in the square of this half length
constexpr double apart = 0.1;       // between the middles of two objects
constexpr double way_ahead = 0.12;  // of a push, and free of other objects
constexpr double way_behind = 0.09;
constexpr double way_width = 0.085;

struct Kind {
  int shape;
  int colour;
  bool operator==(const Kind&) const = default;
};

std::vector<Kind> kinds(Combinations combinations) {
  std::vector<Kind> all;
  for (int shape = 0; shape < std::ssize(shapes()); ++shape) {
    for (int colour = 0; colour < std::ssize(colours()); ++colour) {
      const bool unseen = is_unseen(shape, colour);
      if (combinations == Combinations::all || unseen == (combinations == Combinations::unseen)) {
        all.push_back({shape, colour});
      }
    }
  }
  return all;
}

Kind draw(const std::vector<Kind>& kinds, Rng& rng) { return kinds[rng.below(std::ssize(kinds))]; }

// The target, one of its colour, one of its shape, then any.
std::vector<Kind> draw_kinds(Combinations combinations, Rng& rng) {
  const auto others = kinds(combinations == Combinations::seen ? Combinations::seen : Combinations::all);
  const auto target = draw(kinds(combinations), rng);
  std::vector<Kind> drawn{target};
  const auto add = [&](auto fits) {
    for (;;) {
      const auto kind = draw(others, rng);
      if (std::find(drawn.begin(), drawn.end(), kind) != drawn.end() || !fits(kind)) continue;
      drawn.push_back(kind);
      return;
    }
  };
  add([&](Kind kind) { return kind.colour == target.colour; });
  add([&](Kind kind) { return kind.shape == target.shape; });
  const auto count = 4 + rng.below(2);
  while (std::ssize(drawn) < count) add([](Kind) { return true; });
  return drawn;
}

bool has_room_to_be_pushed(const Object& target, Side side) {
  const auto [x, y] = direction(side);
  const auto along = x * target.x + y * target.y;
  return along < 0.09 && along > -0.14;
}

bool is_in_the_way(const Object& other, const Object& target, Side side) {
  const auto [x, y] = direction(side);
  const auto dx = other.x - target.x;
  const auto dy = other.y - target.y;
  const auto along = std::clamp(x * dx + y * dy, -way_behind, way_ahead);
  return std::hypot(dx - along * x, dy - along * y) < way_width;
}

void place(std::vector<Object>& objects, const Task& task, Rng& rng) {
  const auto fits = [&](std::size_t i) {
    const auto& object = objects[i];
    const bool is_pushed = task.skill == Skill::push;
    if (i == 0 && is_pushed && !has_room_to_be_pushed(object, task.side)) return false;
    for (std::size_t j = 0; j < i; ++j) {
      if (std::hypot(object.x - objects[j].x, object.y - objects[j].y) < apart) return false;
    }
    return i == 0 || !is_pushed || !is_in_the_way(object, objects[0], task.side);
  };
  // A few places can leave no room for the last object: then all are drawn again.
  for (std::size_t i = 0, tries = 0; i < objects.size(); ++tries) {
    if (tries == 100) i = tries = 0;
    objects[i].x = rng.uniform(-reach, reach);
    objects[i].y = rng.uniform(-reach, reach);
    if (fits(i)) ++i;
  }
}

// Hardly any hue, so that no table looks like an object.
Colour draw_ground(Rng& rng) {
  const auto value = rng.uniform(0.25, 0.8);
  Colour colour;
  for (auto& channel : colour) channel = value * rng.uniform(0.8, 1);
  return colour;
}

void draw_looks(Scene& scene, Rng& rng) {
  const auto angle = rng.uniform(0, 2 * std::numbers::pi);
  const auto distance = rng.uniform(0.1, 0.6);
  scene.light.position = {distance * std::cos(angle), distance * std::sin(angle), rng.uniform(0.9, 1.3)};
  scene.light.strength = rng.uniform(0.4, 0.7);
  scene.light.ambient = rng.uniform(0.3, 0.5);
  scene.table = draw_ground(rng);
  scene.background = draw_ground(rng);
  scene.mat = {rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.05, 0.25), rng.uniform(0.05, 0.25)};
  scene.camera = {rng.uniform(-0.008, 0.008), rng.uniform(-0.008, 0.008), rng.uniform(-0.03, 0.03)};
  scene.gripper = {rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15), rng.uniform(0.1, 0.15)};
}

}  // namespace

bool is_unseen(int shape, int colour) {
  static constexpr std::array<int, 4> first{0, 1, 2, 3};
  static constexpr std::array<int, 4> second{4, 5, -1, -1};
  return colour == first[shape] || colour == second[shape];
}

std::array<double, 2> direction(Side side) {
  switch (side) {
    case Side::left:
      return {-1, 0};
    case Side::right:
      return {1, 0};
    case Side::near:
      return {0, -1};
    case Side::far:
      break;
  }
  return {0, 1};
}

void keep_objects(EpisodeStart& start, std::int64_t count) {
  auto& objects = start.scene.objects;
  if (count >= std::ssize(objects)) return;
  std::swap(objects[0], objects[start.task.target]);
  start.task.target = 0;
  objects.resize(count);
}

EpisodeStart make_episode(std::uint64_t seed, Combinations combinations, Wording wording) {
  const auto cell = static_cast<std::uint64_t>(combinations);
  Rng rng({seed, cell, 0});
  EpisodeStart start;
  start.task = {seed % 2 == 0 ? Skill::grasp : Skill::push, 0, static_cast<Side>(rng.below(4))};
  auto& objects = start.scene.objects;
  for (const auto [shape, colour] : draw_kinds(combinations, rng)) {
    const auto size = static_cast<int>(rng.below(std::ssize(sizes())));
    objects.push_back({shape, colour, size, 0, 0, rng.uniform(0, 2 * std::numbers::pi)});
  }
  place(objects, start.task, rng);
  start.task.target = static_cast<int>(rng.below(std::ssize(objects)));
  std::swap(objects[0], objects[start.task.target]);
  draw_looks(start.scene, rng);
  Rng words({seed, cell, 1, static_cast<std::uint64_t>(wording)});
  start.instruction = instruction(start.scene, start.task, wording, words);
  return start;
}

}  // namespace tabletop
