#include "vlalign/nn/bert.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/tanh.h>

#include "config/validate.hpp"

namespace vlalign::nn {
namespace {

constexpr double bert_deviation = 0.02;

}  // namespace

Bert::Bert(const TextConfig& config, Initializer& initializer) : MaskedText(config, "Bert") {
  validate(config, "[Bert]");
  const auto embeddings = register_module("embeddings", std::make_shared<torch::nn::Module>());
  const auto table = [&](const char* name, std::int64_t rows) {
    return add_table(*embeddings, name, rows, bert_deviation, initializer);
  };
  word_embeddings = table("word_embeddings", config.vocab_size);
  position_embeddings = table("position_embeddings", position_rows(config));
  token_type_embeddings = table("token_type_embeddings", config.token_types);
  embeddings_norm =
      embeddings->register_module("LayerNorm", std::make_shared<LayerNorm>(config.width, config.norm_eps));
  auto block = config.block;
  block.placement = BlockConfig::Placement::behind_sum;
  add_transformer({.block = block}, initializer);
  if (!config.pooler) return;
  const Linear::Options pooler_options{.standard_deviation = bert_deviation, .zero_bias = true};
  pooler = register_module("pooler", std::make_shared<Linear>(config.width, config.width, pooler_options, initializer));
}

at::Tensor Bert::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  const bool counted = config_.positions == TextConfig::Positions::learned_from_padding;
  const auto positions =
      counted ? at::embedding(position_embeddings, places_from_padding(tokens, config_.pad_id) + config_.pad_id)
              : position_embeddings.narrow(0, 0, tokens.size(1));
  const auto x = look_up(word_embeddings, tokens) + token_type_embeddings.select(0, 0) + positions;
  return embeddings_norm->forward(x).to(compute);
}

at::Tensor Bert::from_first(const at::Tensor& first) const {
  return config_.pool == TextConfig::Pool::pooler ? at::tanh(pooler->forward(first)) : first;
}

}  // namespace vlalign::nn
