#pragma once

#include <mujoco/mujoco.h>

#include <memory>
#include <optional>

#include "tabletop/simulation.hpp"

namespace tabletop {

struct Free {
  void operator()(mjModel* model) const { mj_deleteModel(model); }
  void operator()(mjData* data) const { mj_deleteData(data); }
};

/// MuJoCo's side of a Simulation. Each model holds the same meshes, so that one mjrContext draws them all.
struct World {
  EpisodeStart start;
  std::unique_ptr<mjModel, Free> model;
  std::unique_ptr<mjData, Free> data;
  double opening = 1;
  std::optional<int> held;
  std::array<double, 3> grip{};  // from the gripper to what it holds
  int steps = 0;
  Simulation::Outcome outcome = Simulation::Outcome::running;
};

}  // namespace tabletop
