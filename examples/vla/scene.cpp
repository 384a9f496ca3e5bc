#include "scene.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "words.hpp"

namespace tabletop {
namespace {

using vlalign::Rng;

constexpr double reach = 0.17;      // objects' centres lie within, metres
constexpr double apart = 0.095;     // and so far from each other
constexpr double pushed = 0.13;     // room that a push needs in front
constexpr double behind = 0.085;    // and behind the object
constexpr double corridor = 0.075;  // half its width

double distance_to_segment(double px, double py, double ax, double ay, double bx, double by) {
  const double dx = bx - ax, dy = by - ay;
  const double t = std::clamp(((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0);
  return std::hypot(px - ax - t * dx, py - ay - t * dy);
}

bool on_table(double x, double y) { return std::max(std::abs(x), std::abs(y)) < 0.225; }

bool can_push(const Scene& scene, int target, Side side) {
  const auto& object = scene.objects[static_cast<std::size_t>(target)];
  const auto [dx, dy] = direction(side);
  const double ax = object.x - behind * dx, ay = object.y - behind * dy;
  const double bx = object.x + pushed * dx, by = object.y + pushed * dy;
  if (!on_table(ax, ay) || !on_table(bx, by)) return false;
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    const auto& other = scene.objects[i];
    if (static_cast<int>(i) != target && distance_to_segment(other.x, other.y, ax, ay, bx, by) < corridor) return false;
  }
  return true;
}

bool allowed(int shape, int colour, Combinations combinations) {
  if (combinations == Combinations::all) return true;
  return is_unseen(shape, colour) == (combinations == Combinations::unseen);
}

bool stands_already(const Scene& scene, int shape, int colour) {
  return std::any_of(scene.objects.begin(), scene.objects.end(),
                     [&](const auto& o) { return o.shape == shape && o.colour == colour; });
}

void place(Object& object, const Scene& scene, Rng& rng) {
  for (int tries = 0; tries < 200; ++tries) {
    object.x = rng.uniform(-reach, reach);
    object.y = rng.uniform(-reach, reach);
    object.yaw = rng.uniform(-3.14159, 3.14159);
    if (std::all_of(scene.objects.begin(), scene.objects.end(),
                    [&](const auto& o) { return std::hypot(o.x - object.x, o.y - object.y) > apart; }))
      return;
  }
}

/// shape or colour: -1 where it is free.
void add_object(Scene& scene, int shape, int colour, Combinations combinations, Rng& rng) {
  for (;;) {
    Object object{.shape = shape >= 0 ? shape : static_cast<int>(rng.below(shape_count)),
                  .colour = colour >= 0 ? colour : static_cast<int>(rng.below(colour_count)),
                  .size = static_cast<int>(rng.below(size_count))};
    if (!allowed(object.shape, object.colour, combinations) || stands_already(scene, object.shape, object.colour))
      continue;
    place(object, scene, rng);
    scene.objects.push_back(object);
    return;
  }
}

/// Muted, so that no object looks like it.
Rgb muted(Rng& rng) {
  const double grey = rng.uniform(0.2, 0.5);
  Rgb colour;
  for (auto& channel : colour) channel = static_cast<float>(grey + rng.uniform(-0.06, 0.06));
  return colour;
}

Scene make_scene(Combinations target, Rng& rng) {
  Scene scene;
  // Beside an unseen target anything may stand.
  const auto others = target == Combinations::unseen ? Combinations::all : target;
  add_object(scene, -1, -1, target, rng);
  const auto [shape, colour] = std::pair(scene.objects[0].shape, scene.objects[0].colour);
  add_object(scene, -1, colour, others, rng);
  add_object(scene, shape, -1, others, rng);
  const auto count = 4 + rng.below(2);
  while (std::ssize(scene.objects) < count) add_object(scene, -1, -1, others, rng);
  scene.table = muted(rng);
  scene.floor = muted(rng);
  scene.lamp = {rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5), rng.uniform(0.9, 1.3)};
  scene.brightness = rng.uniform(0.6, 1.0);
  scene.camera = {rng.uniform(-0.006, 0.006), rng.uniform(-0.006, 0.006)};
  scene.gripper = {rng.uniform(-0.2, 0.2), rng.uniform(-0.2, 0.2), rng.uniform(0.12, 0.17)};
  return scene;
}

/// Whether objects could be placed apart.
bool is_roomy(const Scene& scene) {
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const auto &a = scene.objects[i], &b = scene.objects[j];
      if (std::hypot(a.x - b.x, a.y - b.y) <= apart) return false;
    }
  }
  return true;
}

}  // namespace

std::array<double, 2> direction(Side side) {
  switch (side) {
    case Side::left:
      return {-1, 0};
    case Side::right:
      return {1, 0};
    case Side::near:
      return {0, -1};
    case Side::far:
      return {0, 1};
  }
  return {0, 0};
}

bool is_unseen(int shape, int colour) {
  return shape == colour || (shape == 0 && colour == 3) || (shape == 2 && colour == 5) || (shape == 4 && colour == 1);
}

EpisodeStart make_episode(std::uint64_t seed, Combinations combinations, Wording wording) {
  constexpr std::uint64_t purpose = 0x7461626c65;
  Rng rng({purpose, seed, static_cast<std::uint64_t>(combinations)});
  const bool push = rng.chance(0.5);
  const auto side = static_cast<Side>(rng.below(4));
  for (;;) {
    EpisodeStart start{.scene = make_scene(combinations, rng), .task = {}, .instruction = {}};
    if (!is_roomy(start.scene) || (push && !can_push(start.scene, 0, side))) continue;
    const auto target = rng.below(std::ssize(start.scene.objects));  // its number says nothing
    std::swap(start.scene.objects[0], start.scene.objects[static_cast<std::size_t>(target)]);
    start.task = {.skill = push ? Skill::push : Skill::grasp, .target = static_cast<int>(target), .side = side};
    start.instruction = instruction(start.scene, start.task, wording, rng);
    return start;
  }
}

}  // namespace tabletop
