// Batch norms in passes that are computed twice. Internal.
#pragma once

#include <functional>
#include <memory>

#include "nn/activation_checkpoint.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// checkpointed() for a block with batch norms: their running statistics move with the first pass alone.
///   f: of x, without draws of random numbers; block: whose parameters and batch norms f uses
Tensor checkpointed_block(const std::shared_ptr<torch::nn::Module>& block,
                          const std::function<Tensor(const Tensor&)>& f, const Tensor& x);

}  // namespace vlalign::nn
