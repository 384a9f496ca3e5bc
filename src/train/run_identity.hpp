// Fingerprints of what decides a run's bits and is too large for its config. Internal.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "data/sources/sampled_ranges.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Of names, instructions, states and actions. Frames aren't read.
std::string fingerprint_of(const EpisodeSource& episodes);

/// Records whose texts tell tokenizers apart: up to some 10,000, evenly spread, or of a source with runs the first 256.
std::vector<RecordRange> identified_records(std::int64_t count);
std::vector<RecordRange> identified_records(const PairSource& pairs);

/// Of the text of every id, and of the ids of the texts of these records.
std::string fingerprint_of(const Tokenizer& tokenizer, const std::vector<RecordRange>& records,
                           const std::function<std::vector<std::string>(std::int64_t)>& texts);

/// Of parameters and buffers with their names, to the bit.
std::string fingerprint_of(const torch::nn::Module& module);

}  // namespace vlalign
