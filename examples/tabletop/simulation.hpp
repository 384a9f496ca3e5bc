#pragma once

#include <array>
#include <memory>
#include <span>

#include "tabletop/scene.hpp"

namespace tabletop {

inline constexpr int max_steps = 60;             ///< of an episode
inline constexpr int action_size = 4;            ///< dx, dy, dz, grip
inline constexpr int state_size = 4;             ///< x, y, z, opening
inline constexpr double largest_step = 0.03;     ///< metres that the gripper moves in a control step, each axis
inline constexpr double seconds_per_step = 0.1;  ///< control steps at 10 Hz

struct World;  // MuJoCo's side, in world.hpp

/// The table in MuJoCo, one episode long. The same start and the same actions give the same bits.
class Simulation {
 public:
  explicit Simulation(const EpisodeStart& start);
  ~Simulation();
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;

  /// One control step. action: the gripper's way dx, dy, dz in units of largest_step, each clipped to [-1, 1], and its
  /// grip, closing when > 0 and opening otherwise; closing or opening takes two steps. Throws Error on another length
  /// and on values that aren't finite.
  void step(std::span<const float> action);

  /// What a robot feels: the gripper's x, y, z in metres and its opening: 1 open, 0 closed, 0.25 about
  /// an object.
  std::array<float, state_size> state() const;

  /// grasp: success once the target is lifted 8 cm, wrong_object once another one is.
  /// push: success once the target lies 8 cm or more to the named side of where it was and less than 5 cm off that
  /// line, wrong_object once another object was moved by more than 6 cm or lifted 8 cm.
  /// Success and wrong_object are final.
  enum class Outcome { running, success, wrong_object };
  Outcome outcome() const;

  std::array<double, 3> position(int object) const;  ///< the truth, in metres, of the middle of the object's foot
  Scene scene() const;                               ///< the scene as it is now
  int steps() const;                                 ///< control steps so far

  const World& world() const;  ///< for the camera

 private:
  std::unique_ptr<World> world_;
};

}  // namespace tabletop
