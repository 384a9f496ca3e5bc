// How large a model would be, before it is made.
#pragma once

#include <string>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// About how many parameters a model has, to a few in a hundred; 0 for towers of one's own. In floating point: a config
/// may ask for more than an integer holds.
double estimated_parameters(const ModelConfig& config);

/// The machine's memory in bytes, or what this process's control group may have of it, if that is less.
double memory_limit();

/// Throws Error, `where` in front, when the weights alone, four bytes a parameter, are more than memory_limit(): the
/// system would end the process instead of refusing it the memory.
void check_fits_memory(const ModelConfig& config, const std::string& where);

}  // namespace vlalign
