// Instructions and descriptions, in English and Chinese.
#pragma once

#include <string>
#include <vector>

#include "scene.hpp"

namespace tabletop {

/// What a demonstration is told, or the same in sentences, names and verbs that no demonstration uses.
std::string instruction(const Scene& scene, const Task& task, Wording wording, vlalign::Rng& rng);

/// What is going on in a frame beside what stands there.
struct Doing {
  enum class What { nothing, holding, pushing } what = What::nothing;
  int object = 0;
  Side side = Side::left;
};

/// Captions of a frame for alignment, several of it: one or two objects and where they are, how two lie to each other,
/// what is done. They use the words of both wordings, never an instruction's sentence.
std::vector<std::string> descriptions(const Scene& scene, const Doing& doing, vlalign::Rng& rng);

}  // namespace tabletop
