// Weights that are numbers. Internal.
#pragma once

#include <torch/nn/module.h>

#include <string>

#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// Throws Error "WHERE: TENSOR ..." naming the first floating tensor, in the names' order, that holds a NaN or an
/// infinity. Reads each once.
void check_finite(const NamedTensors& tensors, const std::string& where);

/// The same of a module's parameters and buffers. A buffer may hold minus infinities, as masks do.
void check_finite(const torch::nn::Module& module, const std::string& where);

}  // namespace vlalign
