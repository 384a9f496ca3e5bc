#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// Few tokens out of many, each a learned soft selection (Ryoo et al. 2021, in the later form that RT-1 uses):
/// softmax over the N places of MLP(LN(x)) [B, N, M] says what each of the M tokens takes from where.
class VLALIGN_EXPORT TokenLearner : public torch::nn::Module {
 public:
  static constexpr std::int64_t bottleneck = 64;  ///< of the MLP, RT-1's

  TokenLearner(std::int64_t width, std::int64_t tokens, nn::Initializer& initializer);
  /// x: [B, N, W]; logit_weights: [B, N], added to each selection's logits; returns [B, M, W].
  Tensor forward(const Tensor& x, const Tensor& logit_weights = {}) const;

  std::shared_ptr<nn::LayerNorm> norm;
  std::shared_ptr<nn::FeedForward> mlp;
};

}  // namespace vlalign::vla
