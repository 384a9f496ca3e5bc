#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// BERT (Devlin et al. 2019): word, position and token-type embeddings, post-norm blocks, padding masked; pooled at
/// [CLS] or over the text's tokens. Every token is of type 0. While training, dropout
/// behind the embeddings too, where the config has one.
class VLALIGN_EXPORT Bert : public Tower {
 public:
  Bert(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) override;
  Features features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  std::int64_t width() const override { return config_.width; }
  std::int64_t group_count() const override { return config_.layers + 1; }
  std::int64_t group_of(std::string_view name) const override;

  at::Tensor word_embeddings;      ///< [V, W], registered as embeddings.word_embeddings.weight; the two beside it alike
  at::Tensor position_embeddings;  ///< [context length, W]
  at::Tensor token_type_embeddings;  ///< [types, W]
  std::shared_ptr<LayerNorm> embeddings_norm;
  std::shared_ptr<Transformer> transformer;
  std::shared_ptr<Linear> pooler;  ///< of pre-training; kept for the folder's sake, no part of the features

 private:
  at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const;

  TextConfig config_;
};

}  // namespace vlalign::nn
