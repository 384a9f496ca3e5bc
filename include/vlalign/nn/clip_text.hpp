#pragma once

#include "vlalign/model/config.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// CLIP's text Transformer: causal, ln_final, pooled at the end token, which has the largest id (openai/CLIP,
/// model.py). Batches may be cut to their longest text: what follows the end token is never seen.
class ClipText : public Tower {
 public:
  ClipText(const TextConfig& config, bool quick_gelu, Initializer& initializer);
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) override;
  std::int64_t width() const override { return width_; }

  at::Tensor token_embedding;       ///< [V, W], registered as token_embedding.weight
  at::Tensor positional_embedding;  ///< [context length, W]
  std::shared_ptr<Transformer> transformer;
  std::shared_ptr<LayerNorm> ln_final;

 private:
  /// end: int64 [B], where each text's end token stands.
  at::Tensor forward_piece(const at::Tensor& tokens, const at::Tensor& end, at::ScalarType compute);

  std::int64_t width_;
};

}  // namespace vlalign::nn
