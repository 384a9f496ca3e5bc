// The model that `bench` times.
#pragma once

#include <string>

#include "vlalign/model/dual_encoder.hpp"

namespace vlalign::tool {

struct BenchModel {
  DualEncoder model;
  std::string words;  ///< where its vocabulary comes from: "the model's", "CLIP's" or "made up"
};

/// A model folder's, or that of a preset or a model config (.json), freshly initialised. One that has a vocabulary of
/// its own gets a made-up one of that size, of which each word of a text is one token: a benchmark needs no real ids.
BenchModel make_bench_model(const std::string& name);

/// For int8, where quantize() hasn't prepared it: times don't depend on what a model was calibrated with.
void prepare_with_noise(const DualEncoder& model);

}  // namespace vlalign::tool
