// The flags of `train`.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tool/commands.hpp"
#include "tool/optimizer_flags.hpp"
#include "tool/start_model.hpp"
#include "tool/validation_flags.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {

struct TrainFlags {
  DataFlags data;
  EpisodeOptions video;
  RunFlags run;
  ValidationFlags validation;
  StartFlags start;
  OptimizerFlags optimizer;
  std::string loss = "infonce", targets = "pairs", teacher, augmentation = "none", title, recipe;
  TrainerOptions options;
  std::optional<std::int64_t> lora_rank;
  LoraOptions lora;
  bool no_shuffle = false, checkpoints = false;

  /// Adds them under their groups.
  void add(CLI::App& command);
  /// The trainer's options, but for those that need model or data. Throws Error for flags that don't go together.
  void apply();
};

}  // namespace vlalign::tool
