// RUN/validation.jsonl. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vlalign/train/validation.hpp"

namespace vlalign {

/// {"step", "name", "seconds", ...}: figures with dots in their names as objects in objects, as eval.json has them.
/// Those that aren't finite are null.
std::string validation_line(const ValidationResult& result);

struct ValidationLines {
  std::vector<ValidationResult> results;
  std::string text;  ///< their lines
};
/// Reads lines back. Those of the last step are left out unless there is one of each name: a kill has come between.
ValidationLines read_validation_lines(const std::string& text, const std::vector<std::string>& names,
                                      std::int64_t last_step);

}  // namespace vlalign
