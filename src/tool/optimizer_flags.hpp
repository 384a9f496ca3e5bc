// The flags of `train` that say how weights are updated: optimizer, learning rate over the run, stages.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {

struct OptimizerFlags {
  std::string optimizer = "adamw", schedule = "cosine";
  std::optional<double> weight_decay, beta1, beta2, momentum;
  std::optional<double> cooldown_share;
  std::vector<std::string> stages;

  /// Adds them, and those that go straight into the options.
  void add(CLI::App& command, TrainerOptions& options);
  /// Fills the options' optimizer, schedule and stages. Throws Error for a flag that the optimizer or the schedule
  /// doesn't have.
  void apply(TrainerOptions& options) const;
};

}  // namespace vlalign::tool
