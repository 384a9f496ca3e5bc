// Model configs drawn at random, small enough that hundreds of models are made in seconds.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign::test {

/// Draws from a seed; `change` is the probability with which maybe() changes something.
class ConfigDraws {
 public:
  explicit ConfigDraws(std::uint64_t seed) : generator_(seed), change_(pick({0.0, 0.03, 0.1, 0.3})) {}

  template <typename T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[generator_() % choices.size()];
  }
  bool chance(double probability) { return std::uniform_real_distribution<double>()(generator_) < probability; }

  template <typename T, typename U>
  void maybe(T& value, std::initializer_list<U> others) {
    if (chance(change_)) value = pick(others);
  }
  void maybe_flip(bool& value) {
    if (chance(change_)) value = !value;
  }

 private:
  std::mt19937_64 generator_;
  double change_;
};

inline BlockConfig random_block(ConfigDraws& draw) {
  BlockConfig block;
  draw.maybe(block.norm, {BlockConfig::Norm::rms});
  draw.maybe(block.placement, {BlockConfig::Placement::behind_branch});
  draw.maybe(block.mlp, {BlockConfig::Mlp::gated, BlockConfig::Mlp::gated_last});
  draw.maybe(block.qkv_bias, {BlockConfig::QkvBias::all_but_keys, BlockConfig::QkvBias::none});
  for (const auto option : {&BlockConfig::attention_bias, &BlockConfig::mlp_bias, &BlockConfig::head_norms,
                            &BlockConfig::inner_norm, &BlockConfig::attention_norm, &BlockConfig::mlp_inner_norm,
                            &BlockConfig::mlp_norm, &BlockConfig::head_scales, &BlockConfig::gate})
    draw.maybe_flip(block.*option);
  return block;
}

inline VitConfig random_vit(ConfigDraws& draw, bool siglip, Activation activation) {
  VitConfig vit{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8, .activation = activation};
  if (siglip) {
    vit.pool = VitConfig::Pool::attention;
    vit.norm_eps = 1e-6;
    vit.class_token = vit.ln_pre = false;
    vit.patch_bias = true;
  }
  draw.maybe(vit.patch_size, {4, 6});
  draw.maybe(vit.stem, {std::vector<std::int64_t>{4}, std::vector<std::int64_t>{3, 5}});
  draw.maybe(vit.layers, {0, 2});
  draw.maybe(vit.head_width, {4, 16});
  draw.maybe(vit.mlp_ratio, {2.5, 1.0, 3.7362});
  draw.maybe(vit.activation, {Activation::gelu, Activation::quick_gelu, Activation::gelu_tanh});
  draw.maybe(vit.norm_eps, {1e-6, 1e-3});
  draw.maybe(vit.pool,
             {VitConfig::Pool::token, VitConfig::Pool::average, VitConfig::Pool::attention, VitConfig::Pool::query});
  draw.maybe_flip(vit.class_token);
  draw.maybe_flip(vit.patch_bias);
  draw.maybe_flip(vit.ln_pre);
  draw.maybe_flip(vit.norm_after_pool);
  draw.maybe(vit.positions, {VitConfig::Positions::sines, VitConfig::Positions::none});
  draw.maybe_flip(vit.class_position);
  draw.maybe(vit.registers, {1, 3});
  draw.maybe(vit.rotary, {RotaryConfig{}, RotaryConfig{.reference = 3, .halves = true}});
  vit.block = random_block(draw);
  draw.maybe(vit.layer_scale, {0.3, 0.0});
  draw.maybe(vit.patch_dropout, {0.25, 0.5});
  draw.maybe(vit.pool_queries, {5, 1});
  draw.maybe(vit.pool_heads, {2, 4});
  return vit;
}

inline ModifiedResNetConfig random_modified_resnet(ConfigDraws& draw) {
  ModifiedResNetConfig net{.layers = {1, 1, 1, 1}, .width = 2, .head_width = 32};
  draw.maybe(net.layers, {std::vector<std::int64_t>{1, 2, 1, 1}});
  draw.maybe(net.width, {3, 4});
  draw.maybe(net.head_width, {16, 64});
  return net;
}

/// One in eight is of the smallest size that timm names.
inline ResNetConfig random_resnet(ConfigDraws& draw) {
  if (draw.chance(0.125)) return {.layers = {2, 2, 2, 2}, .bottleneck = false, .width = 64};
  ResNetConfig net{.layers = {1, 1, 1, 1}, .bottleneck = false, .width = 2};
  draw.maybe_flip(net.bottleneck);
  return net;
}

inline EfficientNetConfig random_efficientnet(ConfigDraws& draw) {
  EfficientNetConfig net{.width_coefficient = 0.25,
                         .depth_coefficient = 0.4,
                         .depth_divisor = 8,
                         .kernel_sizes = {3, 5, 3},
                         .in_channels = {16, 16, 24},
                         .out_channels = {16, 24, 64},
                         .strides = {1, 2, 2},
                         .num_block_repeats = {2, 3, 2},
                         .expand_ratios = {1, 4, 6},
                         .hidden_dim = 64};
  draw.maybe(net.depth_coefficient, {1.0, 0.6});
  draw.maybe(net.kernel_sizes, {std::vector<std::int64_t>{5, 3, 3}});
  draw.maybe(net.strides, {std::vector<std::int64_t>{1, 1, 2}});
  draw.maybe(net.expand_ratios, {std::vector<std::int64_t>{1, 2, 3}});
  draw.maybe(net.depthwise_padding, {std::vector<std::int64_t>{1}, std::vector<std::int64_t>{0, 3}});
  draw.maybe(net.squeeze_expansion_ratio, {0.5, 1.0});
  draw.maybe(net.hidden_dim, {128});
  draw.maybe(net.norm_eps, {1e-5});
  draw.maybe(net.norm_momentum, {0.9});
  return net;
}

enum class RandomText { clip, gpt2, siglip, bert };

inline TextConfig random_text(ConfigDraws& draw, RandomText kind, Activation activation) {
  using Pool = TextConfig::Pool;
  const bool bert = kind == RandomText::bert;
  TextConfig text{.architecture = bert ? TextConfig::Architecture::bert : TextConfig::Architecture::clip,
                  .context_length = 8,
                  .vocab_size = 514,
                  .width = 16,
                  .heads = 2,
                  .layers = 1,
                  .activation = activation};
  if (bert) text.pool = Pool::first, text.causal = false, text.activation = Activation::gelu, text.norm_eps = 1e-12;
  if (kind == RandomText::gpt2) text.pool = Pool::end_token, text.activation = Activation::gelu_tanh;
  if (kind == RandomText::siglip) text.pool = Pool::last, text.causal = false, text.norm_eps = 1e-6;
  draw.maybe(text.context_length, {5, 12});
  draw.maybe(text.heads, {1, 4});
  draw.maybe(text.layers, {0, 2});
  draw.maybe(text.mlp_ratio, {2.5, 1.0, 3.7362});
  draw.maybe(text.activation, {Activation::gelu, Activation::quick_gelu, Activation::gelu_tanh});
  draw.maybe(text.norm_eps, {1e-6, 1e-3});
  draw.maybe(text.pool, {Pool::largest_id, Pool::end_token, Pool::first, Pool::last, Pool::mean});
  draw.maybe_flip(text.causal);
  draw.maybe(text.pad_id, {1, 7});
  draw.maybe(text.end_id, {2, 513});
  draw.maybe(text.layer_scale, {0.3, 0.0});
  draw.maybe(text.token_std, {0.5});
  draw.maybe_flip(text.class_embedding);
  draw.maybe(text.token_types, {3});
  draw.maybe_flip(text.pooler);
  draw.maybe(text.cleaning, {"whitespace", "lower", "canonicalize"});
  draw.maybe_flip(text.own_vocabulary);
  return text;
}

inline Preprocess random_preprocess(ConfigDraws& draw) {
  Preprocess how;
  how.image_size = draw.pick({32, 64});
  draw.maybe(how.resize_size, {how.image_size, how.image_size + 8, how.image_size + 3});
  draw.maybe(how.resize, {Preprocess::Resize::squash});
  draw.maybe(how.interpolation, {Interpolation::bilinear});
  draw.maybe_flip(how.crop_rounds_down);
  draw.maybe(how.pixels_as, {PixelsAs::peer});
  draw.maybe(how.mean, {std::array{0.5, 0.5, 0.5}, std::array{0.1, 0.2, 0.3}});
  draw.maybe(how.std, {std::array{0.5, 0.5, 0.5}, std::array{0.7, 0.8, 1.9}});
  return how;
}

/// Any family, any text tower, any option, in either layout; not all of them are models that can be made. The same seed
/// gives the same.
inline ModelConfig random_config(std::uint64_t seed) {
  ConfigDraws draw(seed);
  ModelConfig config;
  config.name = "random-" + std::to_string(seed);
  config.embed_dim = 16;
  const auto activation = draw.pick({Activation::gelu, Activation::quick_gelu, Activation::gelu_tanh});
  const auto tower = draw.pick({0, 0, 1, 2, 3, 4});
  const auto usual = tower == 1 ? RandomText::siglip : tower == 4 ? RandomText::bert : RandomText::clip;
  const auto text = draw.chance(0.3) ? draw.pick({RandomText::clip, RandomText::gpt2, RandomText::bert}) : usual;
  config.layout = draw.pick({Layout::open_clip, Layout::hugging_face});
  config.preprocess = random_preprocess(draw);
  config.preprocess.crop_rounds_down = config.preprocess.crop_rounds_down != (config.layout == Layout::hugging_face);
  config.text = random_text(draw, text, activation);
  if (tower < 2) config.vision = random_vit(draw, tower == 1, activation);
  if (tower == 2) config.vision = random_modified_resnet(draw), config.image_projection.bias = true;
  if (tower == 3) config.vision = random_resnet(draw);
  if (tower == 4) config.vision = random_efficientnet(draw);
  if (tower == 1) {
    config.image_projection.present = false;
    config.text_projection.bias = true;
    config.scale = {.initial = 10, .bias = -10};
  }
  if (tower == 4 && text == RandomText::bert) {
    config.image_projection.present = false;
    config.text_projection.bias = true;
    config.scale = {.temperature = true, .initial = 1};
  }
  draw.maybe(config.embed_dim, {12, 24});
  draw.maybe_flip(config.custom_text);
  draw.maybe_flip(config.image_projection.present);
  draw.maybe_flip(config.image_projection.bias);
  draw.maybe_flip(config.text_projection.present);
  draw.maybe_flip(config.text_projection.bias);
  draw.maybe_flip(config.scale.temperature);
  draw.maybe(config.scale.initial, {1.0, 20.5, 100.0 / 3});
  draw.maybe(config.scale.bias, {-10.0, -2.5});
  return config;
}

/// Bytes as CLIP's tokenizer has them, cleaned and filled up in one of several ways.
inline std::shared_ptr<const Tokenizer> random_tokenizer(std::uint64_t seed) {
  ConfigDraws draw(~seed);
  ClipTokenizerOptions options;
  options.cleaning = draw.pick({ClipCleaning::open_clip, ClipCleaning::hugging_face});
  const bool own_pad = draw.chance(0.3) && options.cleaning == ClipCleaning::open_clip;
  if (own_pad) options.pad_id = draw.pick<std::int64_t>({0, 1, 7});
  return std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}, options);
}

}  // namespace vlalign::test
