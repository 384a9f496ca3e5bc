#include "vlalign/nn/vit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "nn/grid_positions.hpp"

namespace vlalign::nn {
namespace {

/// Zeros in front for a class token.
at::Tensor fixed_positions(std::int64_t side, std::int64_t width, bool class_token) {
  const auto grid = grid_positions(side, width);
  return class_token ? at::cat({at::zeros({1, width}), grid}) : grid;
}

}  // namespace

Vit::Vit(const VitConfig& config, std::int64_t image_size, std::int64_t embed_dim, Initializer& initializer)
    : config_(config), pooled_width_(config.pool == VitConfig::Pool::query ? embed_dim : config.width) {
  validate(config, image_size, embed_dim, "[Vit]");
  const auto width = config.width;
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  const auto grid = image_size / config.patch_size;
  if (config.class_token)
    class_embedding = register_parameter("class_embedding", initializer.normal({width}, deviation));
  const auto places = grid * grid + (config.class_token ? 1 : 0);
  positional_embedding =
      config.fixed_positions
          ? register_parameter("positional_embedding", fixed_positions(grid, width, config.class_token), false)
          : register_parameter("positional_embedding", initializer.normal({places, width}, deviation));
  const auto channels = make_stem(initializer);
  const auto patch = config.patch_size >> config.stem.size();
  const Conv2d::Options patches{.stride = patch, .bias = config.patch_bias};
  conv1 = register_module("conv1", std::make_shared<Conv2d>(channels, width, patch, patches, initializer));
  if (config.ln_pre) ln_pre = register_module("ln_pre", std::make_shared<LayerNorm>(width, config.norm_eps));
  const TransformerOptions options{.width = width,
                                   .heads = width / config.head_width,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .activation = config.activation,
                                   .norm_eps = config.norm_eps,
                                   .layer_scale = config.layer_scale};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  if (config.pool == VitConfig::Pool::attention)
    attention_head = register_module("head", std::make_shared<AttentionHead>(options, initializer));
  if (config.pool == VitConfig::Pool::query)
    query_pooler =
        register_module("attn_pool", std::make_shared<QueryPooler>(config.pool_queries, embed_dim, width,
                                                                   config.pool_heads, config.norm_eps, initializer));
  ln_post = register_module("ln_post", std::make_shared<LayerNorm>(pooled_width_, config.norm_eps));
}

std::int64_t Vit::make_stem(Initializer& initializer) {
  if (config_.stem.empty()) return 3;
  const auto stem = register_module("stem", std::make_shared<torch::nn::Module>());
  std::int64_t in = 3;
  for (const auto channels : config_.stem) {
    const auto number = std::to_string(stem_convs.size());
    const Conv2d::Options half{.stride = 2, .padding = 1};
    stem_convs.push_back(
        stem->register_module("conv" + number, std::make_shared<Conv2d>(in, channels, 3, half, initializer)));
    stem_norms.push_back(stem->register_module("norm" + number, std::make_shared<BatchNorm2d>(channels)));
    in = channels;
  }
  return in;
}

at::Tensor Vit::embed(const at::Tensor& pixels, at::ScalarType compute, const LayerHook& hook,
                      std::vector<at::Tensor>* outputs) const {
  check_pixels(pixels, "Vit");
  auto map = pixels.to(compute);
  for (std::size_t i = 0; i < stem_convs.size(); ++i) {
    map = at::gelu(stem_norms[i]->forward(stem_convs[i]->forward(map)));
    if (hook) map = hook(static_cast<std::int64_t>(i), map);
    if (outputs) outputs->push_back(map);
  }
  auto tokens = conv1->forward(map).flatten(2).transpose(1, 2);  // [B, N, W]
  const auto embedded_places = positions();
  const auto places = embedded_places.size(0) - (config_.class_token ? 1 : 0);
  const bool square = pixels.size(2) / config_.patch_size == pixels.size(3) / config_.patch_size;
  check(square && tokens.size(1) == places, "[Vit] pixels: expected {} patches an image, got {} from {}x{} px", places,
        tokens.size(1), pixels.size(2), pixels.size(3));
  if (config_.class_token) tokens = at::cat({class_embedding.to(compute).expand({tokens.size(0), 1, -1}), tokens}, 1);
  tokens = tokens + embedded_places.to(compute);
  const auto left_out = input.patch_dropout.value_or(config_.patch_dropout);
  if (is_training() && left_out > 0) tokens = drop_patches(tokens, left_out);
  return ln_pre ? ln_pre->forward(tokens) : tokens;
}

at::Tensor Vit::positions() const {
  if (!input.image_size) return positional_embedding;
  const std::int64_t extra = config_.class_token ? 1 : 0;
  const auto side = *input.image_size / config_.patch_size;
  const bool own = extra + side * side == positional_embedding.size(0);
  return own ? positional_embedding : resize_grid(positional_embedding, side, extra);
}

at::Tensor Vit::drop_patches(const at::Tensor& tokens, double share) const {
  const std::int64_t first = config_.class_token ? 1 : 0;
  const auto count = tokens.size(1) - first;
  const auto kept = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(count) * (1 - share)));
  const auto draws = at::rand({tokens.size(0), count}, tokens.options().dtype(at::kFloat).requires_grad(false));
  const auto order = draws.argsort(/*stable=*/false, /*dim=*/1);
  const auto index = order.narrow(1, 0, kept).unsqueeze(-1).expand({-1, -1, tokens.size(2)});
  const auto patches = tokens.narrow(1, first, count).gather(1, index);
  return first == 1 ? at::cat({tokens.narrow(1, 0, 1), patches}, /*dim=*/1) : patches;
}

at::Tensor Vit::pool(const at::Tensor& tokens) const {
  const auto patches = config_.class_token ? tokens.narrow(1, 1, tokens.size(1) - 1) : tokens;
  switch (config_.pool) {
    case VitConfig::Pool::token:
      return ln_post->forward(tokens.select(1, 0));
    case VitConfig::Pool::average:
      return config_.norm_after_pool ? ln_post->forward(patches.mean(1)) : ln_post->forward(patches).mean(1);
    case VitConfig::Pool::attention:
      return attention_head->forward(ln_post->forward(tokens));
    case VitConfig::Pool::query:
      return ln_post->forward(query_pooler->forward(tokens).select(1, 0));
  }
  fail("[Vit] unknown pooling");
}

at::Tensor Vit::forward(const at::Tensor& pixels, at::ScalarType compute) {
  const auto tokens = embed(pixels, compute);
  if (config_.pool != VitConfig::Pool::token) return pool(transformer->forward(tokens, {}));
  const auto first = at::zeros({tokens.size(0)}, tokens.options().dtype(at::kLong).requires_grad(false));
  return ln_post->forward(transformer->forward_pooled(tokens, {}, first));
}

Features Vit::features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

std::vector<std::int64_t> Vit::layer_widths() const {
  auto widths = config_.stem;
  widths.insert(widths.end(), static_cast<std::size_t>(config_.layers), config_.width);
  return widths;
}

Features Vit::hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                              const LayerHook& hook) {
  const auto convolutions = std::ssize(stem_convs);
  const auto wanted = resolve_layers(layers, convolutions + config_.layers);
  std::vector<at::Tensor> outputs;
  auto* kept = wanted.empty() ? nullptr : &outputs;
  LayerHook behind_blocks;
  if (hook) behind_blocks = [&](std::int64_t layer, const at::Tensor& x) { return hook(convolutions + layer, x); };
  const auto tokens = transformer->forward(embed(pixels, compute, hook, kept), {}, kept, behind_blocks);
  Features features;
  features.pooled = pool(tokens);
  const auto patches = config_.class_token ? tokens.narrow(1, 1, tokens.size(1) - 1) : tokens;
  const bool normed = !config_.norm_after_pool && !query_pooler;
  features.tokens = normed ? ln_post->forward(patches) : patches;
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t Vit::group_count() const { return config_.layers + 1; }

std::int64_t Vit::group_of(std::string_view name) const {
  if (const auto block = block_number(name)) return 1 + *block;
  const bool last = name.starts_with("ln_post") || name.starts_with("head") || name.starts_with("attn_pool");
  return last ? config_.layers : 0;
}

}  // namespace vlalign::nn
