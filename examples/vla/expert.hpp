#pragma once

#include <array>
#include <cstdint>

#include "simulation.hpp"

namespace tabletop {

/// Does the task by the objects' true places, with a hand that is not quite steady.
class Expert {
 public:
  ///   noise: standard deviation of each movement, in units of step_length
  Expert(const EpisodeStart& start, std::uint64_t seed, double noise = 0.1);

  std::array<float, action_dims> act(const Simulation& simulation);

 private:
  std::array<float, action_dims> grasp(const Simulation& simulation) const;
  std::array<float, action_dims> push(const Simulation& simulation);

  Task task_;
  vlalign::Rng rng_;
  double noise_;
  bool down_ = false;  // behind the object, ready to push
};

}  // namespace tabletop
