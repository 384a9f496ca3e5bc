#pragma once

#include <array>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layer_hook.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// Multi-head attention with the peers' parameter names: in_proj_weight [3W, W], in_proj_bias [3W], out_proj; where
/// keys and values come from another width, q_proj_weight [W, W], k_proj_weight and v_proj_weight [W, K] instead of the
/// first.
class VLALIGN_EXPORT Attention : public torch::nn::Module {
 public:
  struct Options {
    std::optional<std::int64_t> key_width{};      ///< K; W without it
    std::optional<double> in_proj{}, out_proj{};  ///< standard deviations; torch.nn.MultiheadAttention's without them
  };
  Attention(std::int64_t width, std::int64_t heads, const Options& options, Initializer& initializer);

  /// x: [B, L, K], rows: the queries' inputs [B, Q, W] (x itself, or the token that is pooled); returns [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const;

  /// As Linear::pack, out_proj's too.
  void pack();

  Tensor in_proj_weight, in_proj_bias;
  Tensor q_proj_weight, k_proj_weight, v_proj_weight;
  std::shared_ptr<Linear> out_proj;
  std::shared_ptr<Lora> lora;  ///< of in_proj_weight, three blocks; null unless add_lora() gave it one

 private:
  /// `count` thirds from `first` of the projection to queries, keys and values: [B, L, count * W].
  Tensor project(const Tensor& x, std::int64_t first, std::int64_t count) const;

  std::int64_t heads_;
  bool packed_ = false;
  std::array<KeptProduct, 3> product_;  // what projects queries, keys and values; queries; keys and values
};

struct TransformerOptions {
  std::int64_t width = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 12;
  double mlp_ratio = 4.0;
  Activation activation = Activation::gelu;
  double norm_eps = 1e-5;
  std::optional<double> layer_scale{};
  bool post_norm = false;       ///< norms after the residual sums (BERT)
  bool clip_text_init = false;  ///< depth-scaled, normal (openai/CLIP, model.py); torch's defaults without it
};

/// The MLP of a block: registered as mlp.c_fc and mlp.c_proj of its owner.
class VLALIGN_EXPORT Mlp : public torch::nn::Module {
 public:
  Mlp(const TransformerOptions& options, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

  std::shared_ptr<Linear> c_fc, c_proj;

 private:
  Activation activation_;
};

/// Residual block. Pre-norm: x + attn(ln_1(x)), then + mlp(ln_2(.)). Post-norm: ln_1(x + attn(x)), then
/// ln_2(. + mlp(.)). A layer scale multiplies each branch.
class VLALIGN_EXPORT ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(const TransformerOptions& options, Initializer& initializer);
  /// Only the given rows go on: [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const;

  std::shared_ptr<LayerNorm> ln_1, ln_2;
  std::shared_ptr<Attention> attn;
  std::shared_ptr<Mlp> mlp;
  Tensor scale_1, scale_2;  ///< [W], registered as ls_1.gamma and ls_2.gamma; undefined without a layer scale

 private:
  bool post_norm_;
};

class VLALIGN_EXPORT Transformer : public torch::nn::Module {
 public:
  Transformer(const TransformerOptions& options, Initializer& initializer);

  /// x: [B, L, W]; mask: additive [L, L], [B, 1, 1, L] or [B, 1, L, L], or undefined. Returns all tokens [B, L, W];
  /// each block's output, as the hook leaves it, is appended to `outputs`, where given.
  Tensor forward(const Tensor& x, const Tensor& mask, std::vector<Tensor>* outputs = nullptr,
                 const LayerHook& hook = {}) const;

  /// The token at position index[b] of each sequence, [B, W]; equal to forward() there. The last block's queries,
  /// output projection and MLP are computed for that token only.
  ///   index: int64 [B]
  Tensor forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index) const;

  std::vector<std::shared_ptr<ResidualBlock>> resblocks;
  bool checkpoints = false;  ///< keep only each block's input for the backward pass, which computes the block again

 private:
  /// A block's forward().
  Tensor run(const std::shared_ptr<ResidualBlock>& block, const Tensor& x, const Tensor& rows,
             const Tensor& mask) const;
};

/// What attention adds to its scores: 0 where `seen` (bool, any shape) holds, minus infinity elsewhere.
VLALIGN_EXPORT Tensor additive_mask(const Tensor& seen, const at::TensorOptions& options);

/// x[b, index[b]]: [B, L, W] to [B, W].
VLALIGN_EXPORT Tensor token_at(const Tensor& x, const Tensor& index);

/// The number in a parameter's name behind "resblocks.", or none.
VLALIGN_EXPORT std::optional<std::int64_t> block_number(std::string_view name);

}  // namespace vlalign::nn
