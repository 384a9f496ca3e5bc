#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tabletop/words.hpp"

namespace tabletop {

/// grasp: reach the target, close the gripper and lift. push: shove the target to a side of the table.
enum class Skill { grasp, push };
enum class Side { left, right, near, far };

/// A thing on the table. Lengths are in metres: x to the right and y away from the viewer, 0 in the table's middle.
struct Object {
  int shape;   ///< index into shapes()
  int colour;  ///< index into colours()
  int size;    ///< index into sizes()
  double x;
  double y;
  double yaw;                    ///< radians
  bool is_held = false;          ///< the gripper has it
  std::optional<Side> pushed{};  ///< the gripper is at it and has pushed it so
};

struct Light {
  std::array<double, 3> position;
  double strength;  ///< of the lamp, 0 to 1
  double ambient;   ///< from everywhere, 0 to 1
};

using Colour = std::array<double, 3>;  ///< red, green, blue, 0 to 1

struct Scene {
  std::vector<Object> objects;
  Light light;
  Colour table;
  Colour background;              ///< a mat under part of the table
  std::array<double, 4> mat;      ///< x, y of its middle, and its half lengths
  std::array<double, 3> camera;   ///< by how far the camera is out of its place
  std::array<double, 3> gripper;  ///< where it starts
};

struct Task {
  Skill skill;
  int target;  ///< index into Scene::objects
  Side side;   ///< of a push
};

/// Which pairs of colour and shape may be the target.
///   seen: those of demonstrations; such a scene shows no other pair at all
///   unseen: those no demonstration shows; the other objects are of any pair
///   all: any
enum class Combinations { seen, unseen, all };

/// Whether no demonstration shows this pair: 6 of the 24 pairs, each colour once among them and each shape once or
/// twice.
bool is_unseen(int shape, int colour);

struct EpisodeStart {
  Scene scene;
  Task task;
  std::string instruction;
};

/// A scene of 4 or 5 objects with a task in it, a function of its arguments alone: even seeds are to grasp, odd ones to
/// push; the wordings of a seed share its scene. Collecting uses seeds of 2^32 and more, evaluation those below. No two
/// objects share both colour and shape; one other object shares the target's colour and one its shape, so that both
/// words are needed. Objects lie at least 10 cm apart, and a target to be pushed has its way free.
EpisodeStart make_episode(std::uint64_t seed, Combinations combinations, Wording wording);

/// The same task among fewer objects: the target and the first of the others. count: 1 or more.
void keep_objects(EpisodeStart& start, std::int64_t count);

/// The direction of a push, of length 1.
std::array<double, 2> direction(Side side);

}  // namespace tabletop
