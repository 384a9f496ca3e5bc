// What `train` starts from.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign::tool {

/// --model or --init, and what may differ from them.
struct StartFlags {
  std::string model, init, tokenizer, image_tower, text_tower;
  std::optional<int> image_size;
  std::optional<std::int64_t> context_length;
  std::optional<PixelsAs> pixels_as;
  std::optional<double> logit_bias;
  bool loss_uses_bias = false;  ///< a model without one gets one

  void add(CLI::App& command);
  /// pairs: whose captions a vocabulary may be trained on.
  DualEncoder make(const std::shared_ptr<const PairSource>& pairs, std::uint64_t seed) const;
};

}  // namespace vlalign::tool
