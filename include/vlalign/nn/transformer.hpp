#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/attention.hpp"
#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/layer_hook.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/mlp.hpp"

namespace vlalign::nn {

struct TransformerOptions {
  std::int64_t width = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 12;
  double mlp_ratio = 4.0;
  Activation activation = Activation::gelu;
  double norm_eps = 1e-5;
  std::optional<double> layer_scale{};
  std::optional<std::int64_t> head_width{};  ///< width / heads without it
  std::optional<double> attention_scale{};   ///< 1 / sqrt(head width) without it
  bool clip_text_init = false;  ///< depth-scaled, normal (openai/CLIP, model.py); torch's defaults without it
  BlockConfig block{};
};

/// Residual block, see BlockConfig. With norms before the branches: x + attn(ln_1(x)), then + mlp(ln_2(.)); behind the
/// sums: ln_1(x + attn(x)), then ln_2(. + mlp(.)); behind the branches: x + ln_1(attn(x)), then + ln_2(mlp(.)). A layer
/// scale multiplies each branch.
class VLALIGN_EXPORT ResidualBlock : public torch::nn::Module {
 public:
  /// number: of the block, from 0, by which its stochastic depth goes.
  ResidualBlock(const TransformerOptions& options, Initializer& initializer, std::int64_t number = 0);
  /// Only the given rows go on: [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask, const Rotations& rotations = {}) const;

  std::shared_ptr<Norm> ln_1, ln_2;
  std::shared_ptr<Attention> attn;
  std::shared_ptr<Mlp> mlp;
  std::shared_ptr<Norm> ln_attn, ln_mlp;  ///< of what each branch gives; null unless the config asks for them
  Tensor scale_1, scale_2;  ///< [W], registered as ls_1.gamma and ls_2.gamma; undefined without a layer scale

  /// Whether a pass of training draws random numbers.
  bool draws() const;

 private:
  /// A branch's output as it joins the sum.
  Tensor branch(const Tensor& y, const std::shared_ptr<Norm>& norm, const Tensor& scale) const;

  BlockConfig::Placement placement_;
  double dropout_, attention_dropout_, drop_path_;
};

class VLALIGN_EXPORT Transformer : public torch::nn::Module, public Checkpointing {
 public:
  Transformer(const TransformerOptions& options, Initializer& initializer);

  /// x: [B, L, W]; mask: additive [L, L], [B, 1, 1, L] or [1 or B, 1 or H, L, L], or undefined. Returns all tokens [B,
  /// L, W]; each block's output, as the hook leaves it, is appended to `outputs`, where given. rotation: of all places.
  Tensor forward(const Tensor& x, const Tensor& mask, std::vector<Tensor>* outputs = nullptr,
                 const LayerHook& hook = {}, const Rotation& rotation = {}) const;

  /// The token at position index[b] of each sequence, [B, W]; equal to forward() there. The last block's queries,
  /// output projection and MLP are computed for that token only.
  ///   index: int64 [B]
  Tensor forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index, const Rotation& rotation = {}) const;

  std::vector<std::shared_ptr<ResidualBlock>> resblocks;

 private:
  /// A block's forward().
  Tensor run(const std::shared_ptr<ResidualBlock>& block, const Tensor& x, const Tensor& rows, const Tensor& mask,
             const Rotations& rotations) const;
};

/// What attention adds to its scores: 0 where `seen` (bool, any shape) holds, minus infinity elsewhere.
VLALIGN_EXPORT Tensor additive_mask(const Tensor& seen, const at::TensorOptions& options);

/// x[b, index[b]]: [B, L, W] to [B, W].
VLALIGN_EXPORT Tensor token_at(const Tensor& x, const Tensor& index);

/// The number in a parameter's name behind "resblocks.", or none.
VLALIGN_EXPORT std::optional<std::int64_t> block_number(std::string_view name);

}  // namespace vlalign::nn
