#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/masked_text.hpp"

namespace vlalign::nn {

/// BERT (Devlin et al. 2019): word, position and token-type embeddings, post-norm blocks. Every token is of type 0.
/// RoBERTa's family (Liu et al. 2019) counts positions over the tokens that aren't padding, from pad_id + 1. While
/// training, dropout behind the embeddings too, where the config has one.
class VLALIGN_EXPORT Bert : public MaskedText {
 public:
  Bert(const TextConfig& config, Initializer& initializer);

  at::Tensor word_embeddings;      ///< [V, W], registered as embeddings.word_embeddings.weight; the two beside it alike
  at::Tensor position_embeddings;  ///< [position_rows, W]
  at::Tensor token_type_embeddings;  ///< [types, W]
  std::shared_ptr<LayerNorm> embeddings_norm;
  std::shared_ptr<Linear> pooler;  ///< of pre-training; no part of the features unless they are pooled by it

 protected:
  at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const override;
  at::Tensor from_first(const at::Tensor& first) const override;
};

}  // namespace vlalign::nn
