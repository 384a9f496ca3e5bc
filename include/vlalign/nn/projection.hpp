#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// From a tower's features to the joint space: a linear layer, weight [D, W], or a hidden layer with GELU in front of
/// it.
class VLALIGN_EXPORT Projection : public Linear {
 public:
  /// The weights are drawn from N(0, 1 / in); `config` is present.
  Projection(std::int64_t width, std::int64_t embed_dim, const ProjectionConfig& config, Initializer& initializer);
  /// x: [..., W]; returns [..., D].
  Tensor forward(const Tensor& x) const;

  std::shared_ptr<Linear> hidden;  ///< [hidden, W]; null in a linear projection
};

}  // namespace vlalign::nn
