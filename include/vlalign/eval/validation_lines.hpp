#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// What one validation of a run has found behind a step: a line of its validation.jsonl.
struct ValidationLine {
  double step = 0;
  std::string name;
  double seconds = 0;  ///< that it took
  /// Those that are numbers, by their keys: "loss", "image_to_text.recall@1". NaN where the line has null.
  std::map<std::string, double> figures;
};

/// Reads validation.jsonl. A last line without an end was cut short, or is being written, and is left out. Throws Error
/// with file and line for what is not such a line.
VLALIGN_EXPORT std::vector<ValidationLine> read_validations(const std::filesystem::path& file);

}  // namespace vlalign
