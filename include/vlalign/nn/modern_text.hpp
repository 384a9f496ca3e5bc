#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// A learned query attends to a text's places, without the MLP and the projection that AttentionHead has.
class VLALIGN_EXPORT TextAttentionPool : public torch::nn::Module {
 public:
  TextAttentionPool(const TextConfig& config, Initializer& initializer);
  /// x: [B, L, W]; seen: bool [B, L]; returns [B, W].
  Tensor forward(const Tensor& x, const Tensor& seen) const;

  Tensor query;  ///< [W]
  std::shared_ptr<Linear> q, kv;
  std::shared_ptr<Norm> q_norm, k_norm;  ///< of each head; null unless the blocks have them

 private:
  std::int64_t heads_;
};

/// open_clip's text_arch "modern" (ModernTextTransformer): rotary positions, pre-norm or sandwiched blocks with a gated
/// MLP and gated attention, learned registers in front of the text. Texts have any length: padding is never pooled, and
/// a tower that looks both ways doesn't see it.
class VLALIGN_EXPORT ModernText : public Tower {
 public:
  ModernText(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType compute) override;
  /// Tokens and hidden states are those of the text, the registers left out.
  Features features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  std::int64_t width() const override { return config_.width; }
  std::int64_t group_count() const override { return config_.layers + 1; }
  std::int64_t group_of(std::string_view name) const override;

  at::Tensor token_embedding;  ///< [V, W], registered as token_embedding.weight
  at::Tensor registers;        ///< [R, W], undefined without
  std::shared_ptr<Norm> ln_pre, ln_final;
  std::shared_ptr<Transformer> transformer;
  std::shared_ptr<TextAttentionPool> pool;  ///< Pool::attention

 private:
  /// What the blocks see.
  struct Embedded {
    at::Tensor tokens;    ///< [B, R + L, W]
    at::Tensor seen;      ///< bool [B, L]: what is no padding; the first place of a text of nothing else
    at::Tensor mask;      ///< additive
    Rotation rotation{};  ///< of all places
  };
  /// Other values at first than those of CLIP's blocks.
  void initialize(Initializer& initializer);
  Embedded embed(const at::Tensor& tokens, at::ScalarType compute) const;
  Rotation rotation(std::int64_t length, c10::Device device) const;
  at::Tensor mask_of(const at::Tensor& seen, const at::TensorOptions& options) const;
  /// int64 [B]: the first end token's place, the last that is seen where there is none.
  at::Tensor end_of(const at::Tensor& tokens, const at::Tensor& seen) const;
  /// x: the text's places with the final norm, [B, L, W]
  at::Tensor pooled(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& seen) const;
  at::Tensor text_of(const at::Tensor& x) const {
    return x.narrow(1, config_.registers, x.size(1) - config_.registers);
  }

  TextConfig config_;
};

}  // namespace vlalign::nn
