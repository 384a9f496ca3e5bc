// Activations computed twice instead of kept. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace vlalign::nn {

using Inputs = std::vector<at::Tensor>;

/// f(inputs), of which the backward pass keeps the inputs alone and computes the rest again (Chen et al. 2016,
/// arXiv 1604.06174). Differentiable once.
///   f: gives the same bits each time, so no running statistics
///   parameters: all that f uses besides and that wants a gradient
///   draws: f draws random numbers from the default generator of the inputs' device; the second time it draws the same
at::Tensor checkpointed(const std::function<at::Tensor(const Inputs&)>& f, const Inputs& inputs,
                        const Inputs& parameters, bool draws = false);

}  // namespace vlalign::nn
