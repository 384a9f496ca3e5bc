// What a run folder says of the last step done. Internal.
#pragma once

#include <filesystem>

#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// The last line of metrics.jsonl. A number that isn't there or wasn't finite is NaN, a count 0.
StepResult last_result(const std::filesystem::path& metrics);

}  // namespace vlalign
