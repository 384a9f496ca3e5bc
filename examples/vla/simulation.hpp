#pragma once

#include <array>
#include <memory>
#include <span>

#include "scene.hpp"

struct mjModel_;
struct mjData_;

namespace tabletop {

constexpr int max_steps = 60;          ///< control steps an episode may take
constexpr int action_dims = 4;         ///< dx, dy, dz of the gripper in units of step_length, and grip
constexpr int state_dims = 4;          ///< the gripper's x, y, z in metres, and how far it is open
constexpr double step_length = 0.035;  ///< metres

/// The table in MuJoCo: objects that slide and turn, a gripper that moves where it is told. Closed up high the gripper
/// is a stick that pushes; closed around an object (3.5 cm from its middle or less) it holds it, until it opens. The
/// same start and actions give the same bits.
class Simulation {
 public:
  explicit Simulation(const EpisodeStart& start);
  ~Simulation();
  Simulation(Simulation&&) noexcept;
  Simulation& operator=(Simulation&&) noexcept;

  /// A control step of 0.1 s. action: numbers in [-1, 1], others are cut to it; grip > 0 closes.
  void step(std::span<const float> action);
  /// Somebody knocks against the gripper: metres.
  void knock(double dx, double dy);

  std::array<float, state_dims> state() const;
  std::array<double, 3> position(int object) const;
  double yaw(int object) const;
  int steps() const;
  int held() const;       ///< an object's index, or -1
  bool is_stick() const;  ///< closed to push

  enum class Outcome { running, success, wrong_object };
  /// Success: the target is lifted 8 cm, or pushed 8 cm to its side and less than 5 cm off the way. Wrong object:
  /// another was lifted so, or moved by 6 cm. Either stays.
  Outcome outcome() const;

  const mjModel_* model() const;
  mjData_* data() const;  ///< for the camera

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The model all simulations are made of, for the camera's context.
const mjModel_* base_model();

}  // namespace tabletop
