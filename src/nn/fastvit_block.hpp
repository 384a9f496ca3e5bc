// The residual blocks of FastViT (Vasu et al. 2023). Internal.
#pragma once

#include <memory>
#include <vector>

#include "nn/reparam_conv.hpp"
#include "vlalign/nn/attention.hpp"
#include "vlalign/nn/mlp.hpp"

namespace vlalign::nn {

/// A residual block; what its branches add is multiplied by drawn_paths(), one for each branch that has them.
class FastVitBlock : public torch::nn::Module {
 public:
  /// x: [B, W, H, W'], channels innermost; paths: path_count() of them, each perhaps undefined.
  virtual Tensor forward(const Tensor& x, const std::vector<Tensor>& paths) = 0;
  virtual std::size_t path_count() const = 0;
  double drop_path() const { return drop_path_; }

 protected:
  /// number: of the block among all of the tower.
  FastVitBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number, Initializer& initializer);
  /// The MLP of each place behind a depthwise 7x7 convolution with batch norm, which is registered as mlp_conv.
  Tensor mixed_channels(const Tensor& x);

 private:
  double drop_path_;
  std::shared_ptr<ConvNorm> mlp_conv_;
  std::shared_ptr<Mlp> mlp_;
};

/// y = token_mixer(x), y + layer_scale * mlp(y).
class RepMixerBlock : public FastVitBlock {
 public:
  RepMixerBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number, Initializer& initializer);
  Tensor forward(const Tensor& x, const std::vector<Tensor>& paths) override;
  std::size_t path_count() const override { return 1; }

 private:
  std::shared_ptr<RepMixer> token_mixer_;
  Tensor gamma_;
};

/// y = x + layer_scale_1 * attn(norm(x)), y + layer_scale_2 * mlp(y); heads of 32 channels.
class FastVitAttentionBlock : public FastVitBlock {
 public:
  FastVitAttentionBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number, Initializer& initializer);
  Tensor forward(const Tensor& x, const std::vector<Tensor>& paths) override;
  std::size_t path_count() const override { return 2; }

 private:
  Tensor normed(const Tensor& x) const;

  std::shared_ptr<BatchNorm2d> batch_norm_;  // one of the two
  std::shared_ptr<LayerNorm> layer_norm_;
  std::shared_ptr<Attention> attn_;
  Tensor gamma_1_, gamma_2_;
};

}  // namespace vlalign::nn
