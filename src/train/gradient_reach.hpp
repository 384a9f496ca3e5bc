// Whom the first step's gradient reaches. Internal.
#pragma once

#include "train/freezing.hpp"

namespace vlalign {

/// To be called after the first backward pass: throws Error when nothing that trains in the module has a gradient, and
/// warns of a tower that trains and has none.
void check_reach(const torch::nn::Module& module, const Towers& towers);

}  // namespace vlalign
