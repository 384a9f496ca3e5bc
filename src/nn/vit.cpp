#include "vlalign/nn/vit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
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
#include "nn/conv_then_norm.hpp"
#include "nn/grid_positions.hpp"
#include "nn/patches.hpp"

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
  make_tokens(config.position_side > 0 ? config.position_side : image_size / config.patch_size, initializer);
  front = make_vit_front(config, initializer);
  front ? void(register_module("front", front)) : make_patches(initializer);
  if (config.ln_pre) ln_pre = register_module("ln_pre", make_norm(config.block.norm, width, config.norm_eps));
  const TransformerOptions options{.width = width,
                                   .heads = width / config.head_width,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .activation = config.activation,
                                   .norm_eps = config.norm_eps,
                                   .layer_scale = config.layer_scale,
                                   .block = config.block};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  make_pooling(options, embed_dim, initializer);
}

void Vit::make_patches(Initializer& initializer) {
  const auto channels = make_stem(initializer);
  const auto patch = config_.patch_size >> config_.stem.size();
  if (config_.most_patches > 0) {
    const Linear::Options pixels{.bias = config_.patch_bias};
    patch_embedding = register_module("patch_embedding",
                                      std::make_shared<Linear>(3 * patch * patch, config_.width, pixels, initializer));
    return;
  }
  const Conv2d::Options patches{.stride = patch, .bias = config_.patch_bias};
  conv1 = register_module("conv1", std::make_shared<Conv2d>(channels, config_.width, patch, patches, initializer));
}

void Vit::make_tokens(std::int64_t grid, Initializer& initializer) {
  const auto width = config_.width;
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  if (config_.class_token)
    class_embedding = register_parameter("class_embedding", initializer.normal({width}, deviation));
  if (config_.registers > 0)
    registers = register_parameter("registers", initializer.normal({config_.registers, width}, deviation));
  const bool with_class = config_.class_token && config_.class_position;
  if (config_.positions == VitConfig::Positions::learned)
    positional_embedding = register_parameter(
        "positional_embedding", initializer.normal({grid * grid + (with_class ? 1 : 0), width}, deviation));
  if (config_.positions == VitConfig::Positions::sines)
    positional_embedding =
        register_parameter("positional_embedding", fixed_positions(grid, width, with_class), /*requires_grad=*/false);
}

void Vit::make_pooling(TransformerOptions options, std::int64_t embed_dim, Initializer& initializer) {
  const auto& config = config_;
  const auto norm = [&] { return make_norm(config.block.norm, pooled_width_, config.norm_eps); };
  if (config.pool == VitConfig::Pool::query)
    query_pooler =
        register_module("attn_pool", std::make_shared<QueryPooler>(config.pool_queries, embed_dim, config.width,
                                                                   pool_heads(config), config.norm_eps, initializer));
  if (config.pool == VitConfig::Pool::attention) {
    options.heads = pool_heads(config);
    options.block = {.norm = config.block.norm};
    if (config.pool_mlp_ratio > 0) options.mlp_ratio = config.pool_mlp_ratio;
    if (options.activation == Activation::silu) options.activation = Activation::gelu;  // a gate's, no MLP's
    attention_head = register_module("head", std::make_shared<AttentionHead>(options, initializer));
  }
  ln_post = register_module("ln_post", norm());
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
    stem_.push_back(pair_of(stem_convs.back(), stem_norms.back()));
    in = channels;
  }
  return in;
}

Vit::Embedded Vit::embed(const at::Tensor& pixels, at::ScalarType compute, const LayerHook& hook,
                         std::vector<at::Tensor>* outputs) const {
  check_pixels(pixels, "Vit");
  auto map = pixels.to(compute);
  for (std::size_t i = 0; i < stem_.size(); ++i) {
    map = stem_[i]->forward(map, ThenApply::gelu);
    if (hook) map = hook(static_cast<std::int64_t>(i), map);
    if (outputs) outputs->push_back(map);
  }
  const auto side = pixels.size(2) / config_.patch_size;
  const auto map_of_patches = [&] {
    return (front ? front->forward(map) : conv1->forward(map)).flatten(2).transpose(1, 2);
  };
  const auto patches = patch_embedding ? patch_embedding->forward(cut_into_patches(map, config_.patch_size))
                                       : map_of_patches();  // [B, N, W]
  check(side == pixels.size(3) / config_.patch_size, "[Vit] pixels: expected a square, got {}x{} px", pixels.size(2),
        pixels.size(3));
  const auto table = positions(side);
  if (table.defined()) {
    const auto places = table.size(0) - class_places();
    check(patches.size(1) == places, "[Vit] pixels: expected {} patches an image, got {} from {}x{} px", places,
          patches.size(1), pixels.size(2), pixels.size(3));
  }
  Embedded all{.tokens = placed(patches, table)};
  if (config_.rotary)
    all.rotation = rotation_(*config_.rotary, side, side, config_.head_width, prefix(), pixels.device());
  const auto left_out = input.patch_dropout.value_or(config_.patch_dropout);
  if (is_training() && left_out > 0) drop_patches(all, left_out);
  if (ln_pre) all.tokens = ln_pre->forward(all.tokens);
  return all;
}

at::Tensor Vit::placed(const at::Tensor& patches, const at::Tensor& table) const {
  const auto compute = patches.scalar_type();
  const auto tokens =
      table.defined() ? patches + table.narrow(0, class_places(), patches.size(1)).to(compute) : patches;
  const auto in_front = [&](const at::Tensor& rows) {  // [R, W]
    return rows.to(compute).unsqueeze(0).expand({tokens.size(0), -1, -1});
  };
  const auto rest = registers.defined() ? at::cat({in_front(registers), tokens}, 1) : tokens;
  if (!config_.class_token) return rest;
  auto token = in_front(class_embedding.unsqueeze(0));
  if (table.defined() && class_places() == 1) token = token + table.narrow(0, 0, 1).to(compute);
  return at::cat({token, rest}, 1);
}

at::Tensor Vit::positions(std::int64_t side) const {
  if (!positional_embedding.defined() || (!input.image_size && config_.position_side == 0)) return positional_embedding;
  const auto wanted = input.image_size ? *input.image_size / config_.patch_size : side;
  const bool own = class_places() + wanted * wanted == positional_embedding.size(0);
  return own ? positional_embedding
             : resize_grid(positional_embedding, wanted, class_places(), config_.position_resize);
}

void Vit::drop_patches(Embedded& all, double share) const {
  const auto& tokens = all.tokens;
  const auto first = prefix();
  const auto count = tokens.size(1) - first;
  const auto kept = std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(count) * (1 - share)));
  const auto draws = at::rand({tokens.size(0), count}, tokens.options().dtype(at::kFloat).requires_grad(false));
  auto index = draws.argsort(/*stable=*/false, /*dim=*/1).narrow(1, 0, kept) + first;
  if (first > 0) {
    const auto in_front = at::arange(first, index.options()).expand({tokens.size(0), -1});
    index = at::cat({in_front, index}, 1);
  }
  all.tokens = tokens.gather(1, index.unsqueeze(-1).expand({-1, -1, tokens.size(2)}));
  all.rotation = all.rotation.of(index);
}

at::Tensor Vit::without_registers(const at::Tensor& tokens) const {
  const std::int64_t first = config_.class_token ? 1 : 0;
  return at::cat({tokens.narrow(1, 0, first), patches_of(tokens)}, 1);
}

at::Tensor Vit::patches_of(const at::Tensor& tokens) const {
  return prefix() > 0 ? tokens.narrow(1, prefix(), tokens.size(1) - prefix()) : tokens;
}

at::Tensor Vit::pool(const at::Tensor& tokens) const {
  switch (config_.pool) {
    case VitConfig::Pool::token:
      return ln_post->forward(tokens.select(1, 0));
    case VitConfig::Pool::average: {
      const auto patches = patches_of(tokens);
      return config_.norm_after_pool ? ln_post->forward(patches.mean(1)) : ln_post->forward(patches).mean(1);
    }
    case VitConfig::Pool::attention:
      return attention_head->forward(ln_post->forward(config_.registers > 0 ? without_registers(tokens) : tokens));
    case VitConfig::Pool::query:
      return ln_post->forward(query_pooler->forward(tokens).select(1, 0));
  }
  fail("[Vit] unknown pooling");
}

at::Tensor Vit::forward(const at::Tensor& pixels, at::ScalarType compute) {
  const auto [tokens, rotation] = embed(pixels, compute);
  if (config_.pool != VitConfig::Pool::token) return pool(transformer->forward(tokens, {}, nullptr, {}, rotation));
  const auto first = at::zeros({tokens.size(0)}, tokens.options().dtype(at::kLong).requires_grad(false));
  return ln_post->forward(transformer->forward_pooled(tokens, {}, first, rotation));
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
  const auto embedded = embed(pixels, compute, hook, kept);
  const auto tokens = transformer->forward(embedded.tokens, {}, kept, behind_blocks, embedded.rotation);
  Features features;
  features.pooled = pool(tokens);
  const auto patches = patches_of(tokens);
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
