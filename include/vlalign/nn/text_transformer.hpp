#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// Pre-norm text Transformer with a final norm: CLIP's (causal, pooled at the end token; openai/CLIP, model.py),
/// SigLIP's (sees everything, pooled at the last place) and GPT-2's (causal, tanh GELU). Batches may be cut to their
/// longest text: a causal tower never sees what follows the end token, the others pad up to their whole context again.
class VLALIGN_EXPORT TextTransformer : public Tower {
 public:
  TextTransformer(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) override;
  Features features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  std::int64_t width() const override { return config_.width; }
  std::int64_t group_count() const override { return config_.layers + 1; }
  std::int64_t group_of(std::string_view name) const override;

  at::Tensor token_embedding;       ///< [V, W], registered as token_embedding.weight
  at::Tensor positional_embedding;  ///< [context length (+ 1), W]
  at::Tensor class_embedding;       ///< [W], CoCa's; undefined without
  std::shared_ptr<Transformer> transformer;
  std::shared_ptr<LayerNorm> ln_final;

 private:
  /// As the tower wants them: the whole context where what stands behind the text matters.
  at::Tensor padded(const at::Tensor& tokens) const;
  /// [L, W]: those of the first places. The place behind the text that is pooled keeps its own, the table's last.
  at::Tensor positions(std::int64_t length) const;
  at::Tensor embed(const at::Tensor& tokens, at::ScalarType compute) const;
  at::Tensor mask(const at::Tensor& tokens, const at::TensorOptions& options) const;
  /// int64 [B]: the place that is pooled.
  at::Tensor pooled_place(const at::Tensor& tokens) const;
  at::Tensor pooled_mean(const at::Tensor& tokens, at::ScalarType compute) const;
  /// place: of these rows.
  at::Tensor forward_piece(const at::Tensor& tokens, const at::Tensor& place, at::ScalarType compute) const;

  TextConfig config_;
};

/// Mean over the places where the mask is true: x [B, L, W], mask bool [B, L]; returns [B, W].
VLALIGN_EXPORT at::Tensor masked_mean(const at::Tensor& x, const at::Tensor& mask);

/// Throws Error when a text has more than `context_length` tokens.
VLALIGN_EXPORT void check_length(const at::Tensor& tokens, std::int64_t context_length, const char* tower);

}  // namespace vlalign::nn
