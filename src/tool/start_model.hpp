// What `train` starts from.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/model/dual_encoder.hpp"

namespace vlalign::tool {

using Captions = std::function<std::vector<std::string>()>;

/// --model or --init, and what may differ from them.
struct StartFlags {
  std::string model, init, tokenizer, image_tower, text_tower;
  std::optional<int> image_size;
  std::optional<std::int64_t> context_length;
  std::optional<PixelsAs> pixels_as;
  std::optional<double> logit_bias;
  bool loss_uses_bias = false;          ///< a model without one gets one
  std::filesystem::path resumed_run{};  ///< whose checkpoint has the model where the files named here are gone

  void add(CLI::App& command);
  /// captions: gives what a vocabulary may be trained on.
  DualEncoder make(const Captions& captions, std::uint64_t seed) const;
};

}  // namespace vlalign::tool
