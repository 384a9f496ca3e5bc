#pragma once

#include <torch/nn/module.h>

#include <cstdint>

namespace vlalign::nn {

/// What a DualEncoder is made of: anything that turns a batch into one feature vector each. Derive from it to bring a
/// tower of your own (examples/custom_tower.cpp).
class Tower : public torch::nn::Module {
 public:
  /// x: normalised pixels float32 [B, 3, S, S] for an image tower, token ids int64 [B, L] for a text tower.
  /// compute: float32 or bfloat16, what the arithmetic should run in; a tower may ignore it.
  /// Returns pooled features [B, width()] in any floating dtype.
  virtual at::Tensor forward(const at::Tensor& x, at::ScalarType compute) = 0;

  virtual std::int64_t width() const = 0;
};

}  // namespace vlalign::nn
