#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/masked_text.hpp"

namespace vlalign::nn {

/// NLLB's encoder (Costa-jussa et al. 2022), transformers' M2M100Encoder: embeddings times the width's square root plus
/// sines of the place, counted over the tokens that aren't padding, pre-norm blocks, a final norm.
class VLALIGN_EXPORT NllbEncoder : public MaskedText {
 public:
  NllbEncoder(const TextConfig& config, Initializer& initializer);

  at::Tensor token_embedding;  ///< [V, W], registered as token_embedding.weight
  std::shared_ptr<Norm> ln_final;

 protected:
  at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const override;
  at::Tensor finished(const at::Tensor& y) const override { return ln_final->forward(y); }

 private:
  /// float32 [B, L, W]: sines of all frequencies, then cosines; zeros at padding.
  at::Tensor positions(const at::Tensor& tokens) const;
};

}  // namespace vlalign::nn
