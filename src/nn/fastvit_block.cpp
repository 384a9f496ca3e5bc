#include "nn/fastvit_block.hpp"

#include <ATen/TensorOperators.h>

#include <numeric>

#include "nn/channels.hpp"
#include "nn/drop_path.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {
namespace {

constexpr std::int64_t fastvit_head_width = 32;

Tensor scaled_branch(const Tensor& gamma, const Tensor& branch) {
  return gamma.defined() ? branch * over_channels(gamma, branch) : branch;
}

}  // namespace

FastVitBlock::FastVitBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number,
                           Initializer& initializer)
    : drop_path_(path_probability(config.drop_path, number,
                                  std::accumulate(config.layers.begin(), config.layers.end(), std::int64_t{0}))) {
  const FoldableConv::Shape shape{.in = width, .out = width, .kernel = 7, .groups = width};
  mlp_conv_ = register_module("mlp_conv", std::make_shared<ConvNorm>(shape, initializer));
  const TransformerOptions options{.width = width, .mlp_ratio = config.mlp_ratio};
  mlp_ = register_module("mlp", std::make_shared<Mlp>(options, initializer));
}

Tensor FastVitBlock::mixed_channels(const Tensor& x) {
  return channels_in_front(mlp_->forward(channels_behind(mlp_conv_->convolved(x))));
}

RepMixerBlock::RepMixerBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number,
                             Initializer& initializer)
    : FastVitBlock(config, width, number, initializer) {
  token_mixer_ =
      register_module("token_mixer", std::make_shared<RepMixer>(width, config.layer_scale, config.folded, initializer));
  gamma_ = make_layer_scale(*this, "layer_scale", width, config.layer_scale);
}

Tensor RepMixerBlock::forward(const Tensor& x, const std::vector<Tensor>& paths) {
  const auto y = token_mixer_->convolved(x);
  return y + along(paths[0], scaled_branch(gamma_, mixed_channels(y)));
}

FastVitAttentionBlock::FastVitAttentionBlock(const FastVitConfig& config, std::int64_t width, std::int64_t number,
                                             Initializer& initializer)
    : FastVitBlock(config, width, number, initializer) {
  if (config.layer_norm) {
    layer_norm_ = register_module("norm", std::make_shared<LayerNorm>(width, 1e-5));
  } else {
    batch_norm_ = register_module("norm", std::make_shared<BatchNorm2d>(width));
  }
  const Attention::Options options{
      .in_proj = 0.02, .out_proj = 0.02, .block = {.qkv_bias = BlockConfig::QkvBias::none}};
  attn_ = register_module("attn", std::make_shared<Attention>(width, width / fastvit_head_width, options, initializer));
  gamma_1_ = make_layer_scale(*this, "layer_scale_1", width, config.layer_scale);
  gamma_2_ = make_layer_scale(*this, "layer_scale_2", width, config.layer_scale);
}

/// [B, H, W, C]
Tensor FastVitAttentionBlock::normed(const Tensor& x) const {
  return layer_norm_ ? layer_norm_->forward(channels_behind(x)) : channels_behind(batch_norm_->forward(x));
}

Tensor FastVitAttentionBlock::forward(const Tensor& x, const std::vector<Tensor>& paths) {
  const auto tokens = normed(x).flatten(1, 2);
  const auto mixed = attn_->forward(tokens, tokens, {}).unflatten(1, {x.size(2), x.size(3)});
  const auto y = x + along(paths[0], scaled_branch(gamma_1_, channels_in_front(mixed)));
  return y + along(paths[1], scaled_branch(gamma_2_, mixed_channels(y)));
}

}  // namespace vlalign::nn
