// The classes that a data set's captions name. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

struct ClassLabels {
  std::vector<std::int64_t> classes;  ///< of each record; the first of several with its name
  bool are_names;
};

/// Names, where each record's first caption is one; else numbers. Throws Error naming the record whose caption is
/// neither, or a number where others are names.
ClassLabels class_labels(const PairSource& source, std::span<const std::string> names);

}  // namespace vlalign
