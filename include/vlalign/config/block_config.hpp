#pragma once

#include <cstdint>

namespace vlalign {

/// Of a Transformer's MLP. The wrong one costs points silently, so a model folder's own word is taken.
enum class Activation {
  gelu,          ///< exact (erf)
  quick_gelu,    ///< x * sigmoid(1.702 x): OpenAI's weights need it
  gelu_tanh,     ///< tanh approximation: SigLIP, GPT-2
  silu,          ///< x * sigmoid(x): the gate of a SwiGLU (Shazeer 2020)
  relu,          ///< max(x, 0)
  relu_squared,  ///< max(x, 0)^2 (So et al. 2021, Primer)
};

/// What a Transformer's residual blocks have beyond, or in place of, those of CLIP (Radford et al. 2021), which the
/// defaults describe: y = x + scale_1 * attention(norm(x)), y + scale_2 * mlp(norm(y)).
struct BlockConfig {
  enum class Norm {
    layer,  ///< layer normalisation
    rms,    ///< root mean square, no bias (Zhang and Sennrich 2019): T5, open_clip's modern text tower
  };
  /// Where the two norms of a block stand.
  enum class Placement {
    before,         ///< of what attention and MLP take
    behind_sum,     ///< of each residual sum (BERT)
    behind_branch,  ///< of what attention and MLP give (EVA-02 E)
  };
  /// Which of queries, keys and values have a bias.
  enum class QkvBias { all, all_but_keys, none };
  enum class Mlp {
    plain,       ///< out(activation(in(x)))
    gated,       ///< out(activation(a) * b) of in(x) = (a, b): SwiGLU and its kin (Shazeer 2020)
    gated_last,  ///< the same with in(x) = (b, a)
  };

  Norm norm = Norm::layer;
  Placement placement = Placement::before;
  Mlp mlp = Mlp::plain;
  QkvBias qkv_bias = QkvBias::all;
  bool attention_bias = true;     ///< of attention's output projection
  bool mlp_bias = true;           ///< of the MLP's layers
  bool head_norms = false;        ///< each head's queries and keys are normalised (Dehghani et al. 2023): "qk_norm"
  bool inner_norm = false;        ///< attention's heads, before the output projection (Wang et al. 2022, sub-LN)
  bool attention_norm = false;    ///< what attention gives, too (Shleifer et al. 2021, NormFormer)
  bool mlp_input_norm = false;    ///< what the MLP takes, once more (ViTamin)
  bool mlp_inner_norm = false;    ///< the MLP's hidden layer
  bool mlp_norm = false;          ///< what the MLP gives, too
  bool cosine_attention = false;  ///< cosines of queries and keys times a learned scale a head (Liu et al. 2022)
  bool head_scales = false;       ///< a learned factor a head (NormFormer)
  bool gate = false;              ///< attention's heads times sigmoid(W x + b) before the output projection
  bool gate_bias = true;          ///< b of the gate
  // While training only.
  double dropout = 0;            ///< of what attention and MLP give, and of a text tower's embeddings
  double attention_dropout = 0;  ///< of attention's weights
  double drop_path = 0;          ///< stochastic depth (Huang et al. 2016): the last block's; from 0 they rise evenly

  friend bool operator==(const BlockConfig&, const BlockConfig&) = default;
};

}  // namespace vlalign
