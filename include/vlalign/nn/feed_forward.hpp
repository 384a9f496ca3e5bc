#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// Linear, GELU, Linear: [..., in] to [..., out].
class VLALIGN_EXPORT FeedForward : public torch::nn::Module {
 public:
  FeedForward(std::int64_t in, std::int64_t hidden, std::int64_t out, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

  std::shared_ptr<Linear> c_fc, c_proj;
};

}  // namespace vlalign::nn
