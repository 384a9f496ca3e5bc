// Internal.
#pragma once

#include <torch/nn/module.h>

namespace vlalign::nn {

/// From now on inference keeps the weights of all layers below, where they have such a form, in the order a CPU reads
/// fastest.
void pack_weights(const torch::nn::Module& module);

}  // namespace vlalign::nn
