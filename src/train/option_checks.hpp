// Throws Error naming an option that can't work, before anything is made of it. Internal.
#pragma once

#include "vlalign/train/trainer.hpp"

namespace vlalign {

void check_options(const TrainerOptions& options);
void check_options(const Schedule& options);
void check_options(const AdamWOptions& options);
void check_options(const LambOptions& options);
void check_options(const LionOptions& options);
void check_options(const MuonOptions& options);

}  // namespace vlalign
