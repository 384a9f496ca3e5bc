#pragma once

#include <array>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/rotary.hpp"

namespace vlalign::nn {

/// How the queries' rows and the keys turn by their places.
struct Rotations {
  Rotation rows{}, keys{};
};

/// Multi-head attention with the peers' parameter names: in_proj_weight [3I, W], in_proj_bias [3I], out_proj, where I
/// is heads times their width; where keys and values come from another width, q_proj_weight [I, W], k_proj_weight and
/// v_proj_weight [I, K] instead of the first; where keys have no bias, q_bias and v_bias [I].
class VLALIGN_EXPORT Attention : public torch::nn::Module {
 public:
  struct Options {
    std::optional<std::int64_t> key_width{};      ///< K; W without it
    std::optional<std::int64_t> head_width{};     ///< W / heads without it
    std::optional<double> scale{};                ///< of the products of queries and keys; 1 / sqrt(head width)
    std::optional<double> in_proj{}, out_proj{};  ///< standard deviations; torch.nn.MultiheadAttention's without them
    double norm_eps = 1e-5;
    BlockConfig block{};
  };
  Attention(std::int64_t width, std::int64_t heads, const Options& options, Initializer& initializer);

  /// x: [B, L, K], rows: the queries' inputs [B, Q, W] (x itself, or the token that is pooled); returns [B, Q, W].
  Tensor forward(const Tensor& x, const Tensor& rows, const Tensor& mask, const Rotations& rotations = {}) const;

  /// As Linear::pack, out_proj's too.
  void pack();

  /// Those with in_proj_weight: whole, queries alone, keys and values.
  std::span<KeptProduct> products() { return product_; }

  Tensor in_proj_weight, in_proj_bias;
  Tensor q_proj_weight, k_proj_weight, v_proj_weight;
  Tensor q_bias, v_bias;
  Tensor log_scale;                  ///< [H, 1, 1], of cosine attention: registered as logit_scale
  Tensor head_scale;                 ///< [H, 1, 1]
  std::shared_ptr<Norm> ln_q, ln_k;  ///< of each head
  std::shared_ptr<Norm> ln_inner;
  std::shared_ptr<Linear> gate, out_proj;
  std::shared_ptr<Lora> lora;  ///< of in_proj_weight, three blocks; null unless add_lora() gave it one

 private:
  struct Projected {
    Tensor q, k, v;  ///< [B, H, L, d]
  };
  void make_in_proj(std::int64_t width, const Options& options, Initializer& initializer);
  void make_extras(std::int64_t width, const Options& options, Initializer& initializer);
  Projected project(const Tensor& x, const Tensor& rows) const;
  /// `count` thirds from `first` of the projection to queries, keys and values: [B, L, count * I].
  Tensor project_thirds(const Tensor& x, std::int64_t first, std::int64_t count) const;
  /// [3I], with zeros for keys that have none and then in this dtype; undefined without any.
  Tensor bias(at::ScalarType dtype) const;
  Tensor mix(Projected p, const Tensor& mask, const Rotations& rotations) const;

  std::int64_t heads_, inner_;
  std::optional<double> scale_;
  double dropout_;
  bool packed_ = false;
  std::array<KeptProduct, 3> product_;  // what projects queries, keys and values; queries; keys and values
};

}  // namespace vlalign::nn
