// Fingerprints of what decides a run's bits and is too large for its config. Internal.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Of names and captions, in their order. What the names begin with up to a last '/', where all share it, is left out:
/// it tells how the location was spelled. Pictures aren't read.
std::string fingerprint_of(const PairSource& pairs);

/// Of names, instructions, states and actions. Frames aren't read.
std::string fingerprint_of(const EpisodeSource& episodes);

/// Of the text of every id, and of the ids of the texts of some of the records 0, ..., count - 1.
std::string fingerprint_of(const Tokenizer& tokenizer, std::int64_t count,
                           const std::function<std::vector<std::string>(std::int64_t)>& texts);

/// Of parameters and buffers with their names, to the bit.
std::string fingerprint_of(const torch::nn::Module& module);

}  // namespace vlalign
