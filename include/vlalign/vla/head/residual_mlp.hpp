#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"

namespace vlalign::vla {

/// What heads compute with: y = W x, then y + MLP(LN(y)) in each layer, out = V LN(y). An action is a steep function of
/// where things are, which one hidden layer learns far more slowly.
class VLALIGN_EXPORT ResidualMlp : public torch::nn::Module {
 public:
  ResidualMlp(std::int64_t in_width, std::int64_t hidden, std::int64_t layers, std::int64_t out_width,
              nn::Initializer& initializer);
  /// x: [B, in]; returns [B, out].
  at::Tensor forward(const at::Tensor& x) const;

  std::shared_ptr<nn::Linear> in, out;
  std::vector<std::shared_ptr<nn::LayerNorm>> norms;   ///< registered as norm0, ...
  std::vector<std::shared_ptr<nn::FeedForward>> mlps;  ///< registered as mlp0, ...
  std::shared_ptr<nn::LayerNorm> norm_out;
};

}  // namespace vlalign::vla
