#pragma once

#include <string>
#include <vector>

#include "vlalign/core/random.hpp"

namespace tabletop {

struct Scene;
struct Task;

/// What a shape, colour or size is called: first the name that demonstrations use, then the synonyms of paraphrases.
struct Name {
  std::vector<std::string> english;
  std::vector<std::string> chinese;
};

const std::vector<Name>& shapes();
const std::vector<Name>& colours();
const std::vector<Name>& sizes();

/// How an instruction is put.
enum class Wording {
  demonstrated,  ///< as demonstrations do
  paraphrase,    ///< in other sentences and with synonyms that no demonstration uses
  synonyms,      ///< in demonstrations' sentences, with the paraphrases' names
};

/// A sentence that tells the task, in English or (3 of 10) Chinese: "pick up the red cup", "把蓝色方块推到左边".
/// It always names the target's colour and shape, and now and then its size.
std::string instruction(const Scene& scene, const Task& task, Wording wording, vlalign::Rng& rng);

/// Captions of a frame of the scene as it is, English and Chinese, about one object or all: what it is, where, beside
/// what, and whether it is held or pushed; and at which side the gripper is. They use the words of both wordings and
/// none of the instructions' sentences.
std::vector<std::string> descriptions(const Scene& scene, vlalign::Rng& rng);

}  // namespace tabletop
