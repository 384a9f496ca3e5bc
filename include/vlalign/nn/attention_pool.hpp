#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// SigLIP's attention head (Zhai et al. 2022, "MAP"): a learned query attends to all tokens, then a residual MLP.
class VLALIGN_EXPORT AttentionHead : public torch::nn::Module {
 public:
  AttentionHead(const TransformerOptions& options, Initializer& initializer);
  /// x: [B, N, W]; mask: additive, broadcastable to [B, H, 1, N], or undefined; returns [B, W].
  Tensor forward(const Tensor& x, const Tensor& mask = {}) const;

  Tensor probe;  ///< [W]
  std::shared_ptr<Attention> attention;
  std::shared_ptr<Norm> layernorm;
  std::shared_ptr<Mlp> mlp;
};

/// CoCa's attentional pooler (Yu et al. 2022): learned queries attend to all tokens.
class VLALIGN_EXPORT QueryPooler : public torch::nn::Module {
 public:
  /// width: of the queries and the output; key_width: of the tokens.
  QueryPooler(std::int64_t queries, std::int64_t width, std::int64_t key_width, std::int64_t heads, double norm_eps,
              Initializer& initializer);
  /// x: [B, N, key_width]; returns [B, queries, width].
  Tensor forward(const Tensor& x) const;

  Tensor query;  ///< [queries, width]
  std::shared_ptr<Attention> attn;
  std::shared_ptr<LayerNorm> ln_q, ln_k;
};

}  // namespace vlalign::nn
