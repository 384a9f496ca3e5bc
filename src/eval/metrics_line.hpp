// One line of a run's metrics.jsonl. Internal.
#pragma once

#include <filesystem>
#include <string_view>

#include "vlalign/eval/training_metrics.hpp"

namespace vlalign {

/// Throws Error with file and line for what is not one.
StepMetrics parse_metrics_line(std::string_view line, const std::filesystem::path& file, int number);

}  // namespace vlalign
