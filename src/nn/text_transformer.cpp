#include "vlalign/nn/text_transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "kernels/like_lengths.hpp"
#include "nn/check_inputs.hpp"

namespace vlalign::nn {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

/// Additive [L, L]: a token sees itself and what stands before it.
at::Tensor causal_mask(std::int64_t length, const at::TensorOptions& options) {
  return at::full({length, length}, minus_infinity, options).triu_(1);
}

/// A class token is pooled in place of everything else, as the peer does it (open_clip's `embed_cls`).
bool pools_mean(const TextConfig& config) { return config.pool == TextConfig::Pool::mean && !config.class_embedding; }

/// Rows a piece of a batch should have at least to be worth a pass of its own.
constexpr std::int64_t smallest_piece = 32;
constexpr std::int64_t most_pieces = 4;

}  // namespace

void check_length(const at::Tensor& tokens, std::int64_t context_length, const char* tower) {
  check(tokens.size(1) <= context_length, "[{}] tokens: expected at most {} a text, got {}", tower, context_length,
        tokens.size(1));
}

at::Tensor masked_mean(const at::Tensor& x, const at::Tensor& mask) {
  const auto weights = mask.to(x.scalar_type()).unsqueeze(-1);
  return (x * weights).sum(1) / weights.sum(1).clamp_min(1);
}

TextTransformer::TextTransformer(const TextConfig& config, Initializer& initializer) : config_(config) {
  validate(config, "[TextTransformer]");
  const auto table = register_module("token_embedding", std::make_shared<torch::nn::Module>());
  token_embedding =
      table->register_parameter("weight", initializer.normal({config.vocab_size, config.width}, config.token_std));
  const auto places = config.context_length + (config.class_embedding ? 1 : 0);
  positional_embedding = register_parameter("positional_embedding", initializer.normal({places, config.width}, 0.01));
  if (config.class_embedding) class_embedding = register_parameter("cls_emb", initializer.normal({config.width}, 0.01));
  const TransformerOptions options{.width = config.width,
                                   .heads = config.heads,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .activation = config.activation,
                                   .norm_eps = config.norm_eps,
                                   .layer_scale = config.layer_scale,
                                   .clip_text_init = true,
                                   .block = config.block};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  ln_final = register_module("ln_final", std::make_shared<LayerNorm>(config.width, config.norm_eps));
}

at::Tensor TextTransformer::padded(const at::Tensor& tokens) const {
  check_tokens(tokens, "TextTransformer");
  const auto context_length = input.context_length.value_or(config_.context_length);
  check_length(tokens, context_length, "TextTransformer");
  check_ids(tokens, config_.vocab_size, "TextTransformer");
  const auto missing = context_length - tokens.size(1);
  const bool whole = !config_.causal || config_.class_embedding || config_.pool == TextConfig::Pool::last;
  if (missing == 0 || !whole) return tokens;
  return at::cat({tokens, at::full({tokens.size(0), missing}, config_.pad_id, tokens.options())}, 1);
}

at::Tensor TextTransformer::positions(std::int64_t length) const {
  const auto whole = positional_embedding.size(0);
  const bool pools_last = config_.class_embedding || config_.pool == TextConfig::Pool::last;
  if (length == whole || !pools_last) return positional_embedding.narrow(0, 0, length);
  return at::cat({positional_embedding.narrow(0, 0, length - 1), positional_embedding.narrow(0, whole - 1, 1)});
}

at::Tensor TextTransformer::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  auto x = look_up(token_embedding, tokens);
  if (config_.class_embedding) x = at::cat({x, class_embedding.expand({x.size(0), 1, -1})}, 1);
  return dropped((x + positions(x.size(1))).to(compute), config_.block.dropout, is_training());
}

at::Tensor TextTransformer::mask(const at::Tensor& tokens, const at::TensorOptions& options) const {
  const auto causal =
      config_.causal ? causal_mask(tokens.size(1) + (config_.class_embedding ? 1 : 0), options) : at::Tensor();
  if (!config_.class_embedding) return causal;
  // The peer's mask of padding stands one place to the right of the text (open_clip's `correct_cls_mask` is off in
  // every model it names), and the weights were trained with it.
  const auto seen =
      at::cat({at::ones({tokens.size(0), 1}, tokens.options().dtype(at::kBool)), tokens != config_.pad_id}, 1);
  const auto padding = additive_mask(seen, options).unsqueeze(1).unsqueeze(1);
  return causal.defined() ? causal + padding : padding;
}

at::Tensor TextTransformer::pooled_place(const at::Tensor& tokens) const {
  using Pool = TextConfig::Pool;
  const auto everywhere = [&](std::int64_t place) { return at::full({tokens.size(0)}, place, tokens.options()); };
  if (config_.class_embedding) return everywhere(tokens.size(1));
  if (config_.pool == Pool::largest_id) return tokens.argmax(-1);
  if (config_.pool == Pool::end_token) return (tokens == config_.end_id).to(at::kInt).argmax(-1);
  return everywhere(config_.pool == Pool::first ? 0 : tokens.size(1) - 1);
}

at::Tensor TextTransformer::forward(const at::Tensor& cut, at::ScalarType compute) {
  const auto tokens = padded(cut);
  if (pools_mean(config_)) return pooled_mean(tokens, compute);
  const auto place = pooled_place(tokens);
  const auto pieces = std::min(most_pieces, tokens.size(0) / smallest_piece);
  const bool cuttable = config_.causal && !config_.class_embedding && config_.pool != TextConfig::Pool::last;
  if (!tokens.is_cpu() || pieces < 2 || !cuttable) return forward_piece(tokens, place, compute);

  // Each piece cut to its own longest: the same rows for less padding.
  const auto by_length = pieces_of_like_length(place + 1, pieces);
  std::vector<at::Tensor> rows;
  for (const auto& [items, longest] : by_length.pieces) {
    const auto piece = tokens.index_select(0, items).narrow(1, 0, longest);
    rows.push_back(forward_piece(piece, place.index_select(0, items), compute));
  }
  return at::cat(rows).index_select(0, by_length.order);
}

at::Tensor TextTransformer::forward_piece(const at::Tensor& tokens, const at::Tensor& place,
                                          at::ScalarType compute) const {
  const auto x = embed(tokens, compute);
  return ln_final->forward(transformer->forward_pooled(x, mask(tokens, x.options().requires_grad(false)), place));
}

at::Tensor TextTransformer::pooled_mean(const at::Tensor& tokens, at::ScalarType compute) const {
  const auto x = embed(tokens, compute);
  const auto y = ln_final->forward(transformer->forward(x, mask(tokens, x.options().requires_grad(false))));
  return masked_mean(y, tokens != config_.pad_id);
}

Features TextTransformer::features(const at::Tensor& cut, at::ScalarType compute,
                                   std::span<const std::int64_t> layers) {
  const auto wanted = resolve_layers(layers, config_.layers);
  const auto tokens = padded(cut);
  const auto length = tokens.size(1);
  const auto x = embed(tokens, compute);
  std::vector<at::Tensor> outputs;
  const auto y = ln_final->forward(transformer->forward(x, mask(tokens, x.options().requires_grad(false)), &outputs));
  Features features;
  features.tokens = y.narrow(1, 0, length);
  const auto place = pooled_place(tokens);
  using Pool = TextConfig::Pool;
  const bool ends = config_.pool == Pool::largest_id || config_.pool == Pool::end_token;
  features.mask = ends && !config_.class_embedding
                      ? at::arange(length, tokens.options()).unsqueeze(0) <= place.unsqueeze(1)
                      : tokens != config_.pad_id;
  features.pooled = pools_mean(config_) ? masked_mean(y, features.mask) : token_at(y, place);
  for (const auto layer : wanted)
    features.hidden.push_back(outputs[static_cast<std::size_t>(layer)].narrow(1, 0, length));
  return features;
}

std::int64_t TextTransformer::group_of(std::string_view name) const {
  if (const auto block = block_number(name)) return 1 + *block;
  return name.starts_with("ln_final") ? config_.layers : 0;
}

}  // namespace vlalign::nn
