#include "vlalign/nn/masked_text.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "vlalign/nn/text_transformer.hpp"

namespace vlalign::nn {

using Pool = TextConfig::Pool;

at::Tensor places_from_padding(const at::Tensor& tokens, std::int64_t pad_id) {
  const auto seen = (tokens != pad_id).to(at::kLong);
  return at::cumsum(seen, 1) * seen;
}

at::Tensor MaskedText::add_table(torch::nn::Module& owner, const char* name, std::int64_t rows, double deviation,
                                 Initializer& initializer) const {
  const auto table = owner.register_module(name, std::make_shared<torch::nn::Module>());
  return table->register_parameter("weight", initializer.normal({rows, config_.width}, deviation));
}

void MaskedText::add_transformer(TransformerOptions options, Initializer& initializer) {
  options.width = config_.width;
  options.heads = config_.heads;
  options.layers = config_.layers;
  options.mlp_ratio = config_.mlp_ratio;
  options.activation = config_.activation;
  options.norm_eps = config_.norm_eps;
  if (config_.head_width > 0) options.head_width = config_.head_width;
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
}

at::Tensor MaskedText::mask(const at::Tensor& seen, const at::TensorOptions& options) const {
  return additive_mask(seen, options).unsqueeze(1).unsqueeze(1);
}

at::Tensor MaskedText::checked_embeddings(const at::Tensor& tokens, at::ScalarType compute) const {
  check_tokens(tokens, name_);
  check_length(tokens, config_.context_length, name_);
  check_ids(tokens, config_.vocab_size, name_);
  return dropped(embed(tokens, compute), config_.block.dropout, is_training());
}

at::Tensor MaskedText::pooled(const at::Tensor& y, const at::Tensor& seen) const {
  if (config_.pool == Pool::mean) return masked_mean(y, seen);
  if (config_.pool != Pool::max) return from_first(y.select(1, 0));
  constexpr auto lowest = -std::numeric_limits<double>::infinity();
  return std::get<0>(y.masked_fill(~seen.unsqueeze(-1), lowest).max(1));
}

at::Tensor MaskedText::forward(const at::Tensor& tokens, at::ScalarType compute) {
  const auto x = checked_embeddings(tokens, compute);
  const auto seen = tokens != config_.pad_id;
  const auto bias = mask(seen, x.options().requires_grad(false));
  const bool whole = config_.pool == Pool::mean || config_.pool == Pool::max;
  if (whole) return pooled(finished(transformer->forward(x, bias)), seen);
  const auto places = at::zeros({tokens.size(0)}, tokens.options());
  return from_first(finished(transformer->forward_pooled(x, bias, places)));
}

Features MaskedText::features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) {
  const auto wanted = resolve_layers(layers, config_.layers);
  const auto x = checked_embeddings(tokens, compute);
  Features features;
  features.mask = tokens != config_.pad_id;
  std::vector<at::Tensor> outputs;
  features.tokens = finished(transformer->forward(x, mask(features.mask, x.options().requires_grad(false)), &outputs));
  features.pooled = pooled(features.tokens, features.mask);
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t MaskedText::group_of(std::string_view name) const {
  if (const auto block = block_number(name)) return 1 + *block;
  const bool last = name.starts_with("pooler") || name.starts_with("ln_final");
  return last ? config_.layers : 0;
}

}  // namespace vlalign::nn
