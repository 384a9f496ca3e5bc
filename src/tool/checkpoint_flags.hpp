// The flags of `train` about checkpoints, and about what goes wrong in a step.
#pragma once

#include <CLI/CLI.hpp>

#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {

void add_checkpoint_flags(CLI::App& command, TrainerOptions& options);

}  // namespace vlalign::tool
