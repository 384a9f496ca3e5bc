#pragma once

#include <vector>

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// Multi-head attention with the peers' parameter names: in_proj_weight [3W, W], in_proj_bias, out_proj.
class Attention : public torch::nn::Module {
 public:
  struct Init {
    std::optional<double> in_proj, out_proj;  ///< standard deviations; torch.nn.MultiheadAttention's without them
  };
  Attention(std::int64_t width, std::int64_t heads, const Init& init, Initializer& initializer);

  /// x: [B, L, W], rows: the queries' inputs [B, Q, W] (x itself, or the token that is pooled); returns [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const;

  Tensor in_proj_weight, in_proj_bias;
  std::shared_ptr<Linear> out_proj;

 private:
  std::int64_t heads_;
};

struct TransformerOptions {
  std::int64_t width = 512;
  std::int64_t heads = 8;
  std::int64_t layers = 12;
  double mlp_ratio = 4.0;
  bool quick_gelu = false;
  bool clip_text_init = false;  ///< depth-scaled, normal (openai/CLIP, model.py); torch's defaults without it
};

/// Pre-norm residual block: x + attn(ln_1(x)), then + mlp(ln_2(.)).
class ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(const TransformerOptions& options, Initializer& initializer);
  /// Only the given rows go on: [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const;

  std::shared_ptr<LayerNorm> ln_1, ln_2;
  std::shared_ptr<Attention> attn;
  std::shared_ptr<Linear> c_fc, c_proj;

 private:
  bool quick_gelu_;
};

class Transformer : public torch::nn::Module {
 public:
  Transformer(const TransformerOptions& options, Initializer& initializer);

  /// x: [B, L, W]; mask: additive [L, L] or undefined. Returns all tokens [B, L, W].
  Tensor forward(const Tensor& x, const Tensor& mask) const;

  /// The token at position index[b] of each sequence, [B, W]; equal to forward() there. The last block's queries,
  /// output projection and MLP are computed for that token only.
  ///   index: int64 [B]
  Tensor forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index) const;

  std::vector<std::shared_ptr<ResidualBlock>> resblocks;
};

}  // namespace vlalign::nn
