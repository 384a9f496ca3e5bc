// Batch normalisation over several processes. Internal.
#pragma once

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// What at::batch_norm gives in training to a batch of all ranks' rows, this rank's part of it, with its exact
/// gradient; moves the norm's running statistics alike on each. Two exchanges of numbers a channel, one back for each.
///   x: [b, C, H, W], this rank's rows, at least one
Tensor batch_norm_over_ranks(const Ranks& ranks, const Tensor& x, const BatchNorm2d& norm);

}  // namespace vlalign::nn
