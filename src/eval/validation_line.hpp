// One line of a run's validation.jsonl. Internal.
#pragma once

#include <filesystem>
#include <string_view>

#include "vlalign/eval/validation_result.hpp"

namespace vlalign {

/// Throws Error with file and line for what is not one.
ValidationResult parse_validation_line(std::string_view line, const std::filesystem::path& file, int number);

}  // namespace vlalign
