// Stochastic depth (Huang et al. 2016). Internal.
#pragma once

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// Of a residual branch in training: for each item of x's batch 0 with this probability, otherwise 1 / (1 -
/// probability), [B, 1, ...] with x's dimensions. Undefined where the probability is 0 or the owner evaluates.
Tensor drawn_paths(const Tensor& x, double probability, bool training);

/// branch * paths, or the branch alone where `paths` is undefined.
inline Tensor along(const Tensor& paths, const Tensor& branch) { return paths.defined() ? branch * paths : branch; }

/// The probability of block `number` of `count`: from 0 they rise evenly to `last`.
double path_probability(double last, std::int64_t number, std::int64_t count);

}  // namespace vlalign::nn
