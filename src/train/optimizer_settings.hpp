// Optimizer and schedule as config.json has them. Internal.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "vlalign/train/optimizer_options.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign {

/// "optimizer", its name, and its options: under that name, but AdamW's beside it, where they were before there was a
/// choice.
nlohmann::json settings_of(const OptimizerOptions& options);

/// "schedule" and "warmup", in steps; "cooldown_share" where there is a cool-down.
nlohmann::json settings_of(const Schedule& schedule, std::int64_t steps);

}  // namespace vlalign
