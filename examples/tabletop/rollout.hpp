#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tabletop/camera.hpp"
#include "tabletop/simulation.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/vla/policy.hpp"

namespace tabletop {

/// What a policy is tested on.
struct Cell {
  Combinations combinations = Combinations::seen;
  Wording wording = Wording::demonstrated;
};
/// Combinations of colour and shape that demonstrations have or haven't; then, on the former, other words for them or
/// for all of the instruction.
inline constexpr std::array cell_names{"seen", "unseen", "synonyms", "paraphrase"};
/// Throws Error for another name.
Cell cell_named(const std::string& name);

/// What is taken away from a policy, to see that it uses it.
enum class Control {
  none,
  other_object,  ///< the instruction names any object of the scene, by chance the right one
  blank_image,   ///< a grey picture
};

struct RolloutOptions {
  Cell cell{};
  Control control = Control::none;
  int first_episode = 0, episodes = 300;  ///< their seeds are fixed: those of every policy
  int execute = 4;                        ///< steps done of each chunk before the policy looks again
  std::int64_t objects = 5;               ///< the most that a scene has
  bool with_poses = false;                ///< the target's true place is part of the state
};

struct Outcome {
  int episode = 0;
  EpisodeStart start;
  std::string told{};                                      ///< the instruction, or what a control made of it
  Simulation::Outcome how = Simulation::Outcome::running;  ///< running: out of time
  int steps = 0;
  std::vector<vlalign::Image> film{};  ///< a picture a step, if asked for
};

/// Runs a policy on episodes, many at a time.
///   film: draws each step for people; null for none
std::vector<Outcome> roll_out(const vlalign::vla::Policy& policy, const RolloutOptions& options, Camera& camera,
                              Camera* film = nullptr);

}  // namespace tabletop
