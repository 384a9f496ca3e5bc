#pragma once

#include <array>
#include <cstdint>

#include "simulation.hpp"
#include "vlalign/core/random.hpp"

namespace tabletop {

/// A scripted demonstrator that knows where everything is. With noise it strays now and then and comes back, so that a
/// learner sees how to recover.
class Expert {
 public:
  /// noise: 0 for the straight way; 1 disturbs each action by about a sixth of the largest step, and some more
  Expert(const EpisodeStart& start, std::uint64_t seed, double noise);

  std::array<float, action_size> act(const Simulation& simulation);

 private:
  Task task_;
  vlalign::Rng rng_;
  double noise_;
};

}  // namespace tabletop
