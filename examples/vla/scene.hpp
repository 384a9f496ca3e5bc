// What stands on the table and what is asked for. No simulator in here.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vlalign/core/random.hpp"

namespace tabletop {

constexpr int shape_count = 6, colour_count = 6, size_count = 2;

/// Directions as a person in front of the table sees them: x to the right, y away.
enum class Side { left, right, near, far };
std::array<double, 2> direction(Side side);

struct Object {
  int shape = 0, colour = 0, size = 0;
  double x = 0, y = 0, yaw = 0;  ///< metres from the table's middle, radians
};

using Rgb = std::array<float, 3>;

struct Scene {
  std::vector<Object> objects;  ///< each of another shape and colour
  Rgb table{}, floor{};
  std::array<double, 3> lamp{};    ///< its place, metres
  double brightness = 1;           ///< of the lamp
  std::array<double, 2> camera{};  ///< how far it is off its place, metres
  std::array<double, 3> gripper{};
};

enum class Skill { grasp, push };

struct Task {
  Skill skill = Skill::grasp;
  int target = 0;          ///< index into the scene's objects
  Side side = Side::left;  ///< where to push it
};

enum class Combinations { seen, unseen, all };  ///< of colour and shape, that the target may have
enum class Wording { demonstrated, paraphrase };

struct EpisodeStart {
  Scene scene;
  Task task;
  std::string instruction;
};

/// Never the target of a demonstration, nor in the scene of one.
bool is_unseen(int shape, int colour);

/// Four or five objects, one of the target's colour, another of its shape, and a task that can be done. A function of
/// its arguments.
EpisodeStart make_episode(std::uint64_t seed, Combinations combinations, Wording wording);

}  // namespace tabletop
