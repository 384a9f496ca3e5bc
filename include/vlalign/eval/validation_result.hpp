#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Measures by their names, which are keys of eval.json with dots between levels: {"loss", 1.2},
/// {"image_to_text.recall@1", 0.61}. NaN stands for one that wasn't finite.
using Figures = std::map<std::string, double>;

/// What one validation of a run has found behind a step: a line of its validation.jsonl.
struct ValidationResult {
  std::int64_t step = 0;  ///< steps done
  std::string name;       ///< of the validation
  double seconds = 0;     ///< that it took
  Figures figures;
};

/// Reads validation.jsonl. A last line without an end was cut short, or is being written, and is left out. Throws Error
/// with file and line for what is not such a line.
VLALIGN_EXPORT std::vector<ValidationResult> read_validations(const std::filesystem::path& file);

}  // namespace vlalign
