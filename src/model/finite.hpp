// Weights that are numbers. Internal.
#pragma once

#include <string>

#include "vlalign/model/safetensors.hpp"

namespace vlalign {

/// Throws Error "WHERE: TENSOR ..." naming the first floating tensor, in the names' order, that holds a NaN or an
/// infinity. Reads each once.
void check_finite(const NamedTensors& tensors, const std::string& where);

}  // namespace vlalign
