#include "vlalign/nn/bert.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "vlalign/nn/text_transformer.hpp"

namespace vlalign::nn {
namespace {

constexpr double init_deviation = 0.02;

/// Additive [B, 1, 1, L].
at::Tensor padding_mask(const at::Tensor& seen, const at::TensorOptions& options) {
  return additive_mask(seen, options).unsqueeze(1).unsqueeze(1);
}

}  // namespace

Bert::Bert(const TextConfig& config, Initializer& initializer) : config_(config) {
  validate(config, "[Bert]");
  const auto embeddings = register_module("embeddings", std::make_shared<torch::nn::Module>());
  const auto table = [&](const char* name, std::int64_t rows) {
    const auto owner = embeddings->register_module(name, std::make_shared<torch::nn::Module>());
    return owner->register_parameter("weight", initializer.normal({rows, config.width}, init_deviation));
  };
  word_embeddings = table("word_embeddings", config.vocab_size);
  position_embeddings = table("position_embeddings", config.context_length);
  token_type_embeddings = table("token_type_embeddings", config.token_types);
  embeddings_norm =
      embeddings->register_module("LayerNorm", std::make_shared<LayerNorm>(config.width, config.norm_eps));
  auto block = config.block;
  block.placement = BlockConfig::Placement::behind_sum;
  const TransformerOptions options{.width = config.width,
                                   .heads = config.heads,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .activation = config.activation,
                                   .norm_eps = config.norm_eps,
                                   .block = block};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  if (!config.pooler) return;
  const Linear::Options pooler_options{.standard_deviation = init_deviation, .zero_bias = true};
  pooler = register_module("pooler", std::make_shared<Linear>(config.width, config.width, pooler_options, initializer));
}

at::Tensor Bert::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  check_tokens(tokens, "Bert");
  check_length(tokens, config_.context_length, "Bert");
  check_ids(tokens, config_.vocab_size, "Bert");
  const auto x = look_up(word_embeddings, tokens) + token_type_embeddings.select(0, 0) +
                 position_embeddings.narrow(0, 0, tokens.size(1));
  return dropped(embeddings_norm->forward(x).to(compute), config_.block.dropout, is_training());
}

at::Tensor Bert::forward(const at::Tensor& tokens, at::ScalarType compute) {
  const auto x = embed(tokens, compute);
  const auto seen = tokens != config_.pad_id;
  const auto mask = padding_mask(seen, x.options().requires_grad(false));
  if (config_.pool == TextConfig::Pool::mean) return masked_mean(transformer->forward(x, mask), seen);
  return transformer->forward_pooled(x, mask, at::zeros({tokens.size(0)}, tokens.options()));
}

Features Bert::features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) {
  const auto wanted = resolve_layers(layers, config_.layers);
  const auto x = embed(tokens, compute);
  Features features;
  features.mask = tokens != config_.pad_id;
  std::vector<at::Tensor> outputs;
  features.tokens = transformer->forward(x, padding_mask(features.mask, x.options().requires_grad(false)), &outputs);
  features.pooled = config_.pool == TextConfig::Pool::mean ? masked_mean(features.tokens, features.mask)
                                                           : features.tokens.select(1, 0);
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t Bert::group_of(std::string_view name) const {
  if (const auto block = block_number(name)) return 1 + *block;
  return name.starts_with("pooler") ? config_.layers : 0;
}

}  // namespace vlalign::nn
