#pragma once

#include <array>
#include <cstdint>

#include "tabletop/simulation.hpp"
#include "vlalign/core/random.hpp"

namespace tabletop {

/// A scripted demonstrator that knows where everything is and looks at nothing else: without noise what it does is a
/// function of the moment. With noise its hand strays now and then, and it brings it back, so that a learner sees how
/// to recover (noise in the supervisor, Laskey et al. 2017, arXiv 1703.09327).
class Expert {
 public:
  /// noise: 0 none; 1 shakes each action by up to 0.25, and on one step in 20 draws the hand aside for two steps
  Expert(const EpisodeStart& start, std::uint64_t seed, double noise);

  /// What the hand does next, noise and all.
  std::array<float, action_size> act(const Simulation& simulation);

  /// What it would do without noise: what a learner should do here.
  std::array<float, action_size> wanted(const Simulation& simulation) const;

 private:
  Task task_;
  vlalign::Rng rng_;
  double noise_;
  std::array<double, 3> stray_{};
  int steps_astray_ = 0;
};

}  // namespace tabletop
