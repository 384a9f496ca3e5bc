#include "vlalign/nn/nllb.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/exp.h>

#include <cmath>

#include "config/validate.hpp"

namespace vlalign::nn {

NllbEncoder::NllbEncoder(const TextConfig& config, Initializer& initializer) : MaskedText(config, "NllbEncoder") {
  validate(config, "[NllbEncoder]");
  token_embedding = add_table(*this, "token_embedding", config.vocab_size, config.token_std, initializer);
  add_transformer({.block = config.block}, initializer);
  ln_final = register_module("ln_final", make_norm(config.block.norm, config.width, config.norm_eps));
}

at::Tensor NllbEncoder::positions(const at::Tensor& tokens) const {
  constexpr double longest_wave = 10000;
  const auto options = at::TensorOptions(at::kFloat).device(tokens.device());
  const auto half = config_.width / 2;
  const auto step = std::log(longest_wave) / static_cast<double>(half - 1);
  const auto frequencies = at::exp(at::arange(half, options) * -step);
  // fairseq's table, from the row of padding on: the first token stands at pad_id + 1.
  const auto places = at::arange(config_.pad_id, config_.pad_id + tokens.size(1) + 1, options);
  const auto angles = places.unsqueeze(1) * frequencies.unsqueeze(0);
  const auto rows = at::cat({angles.sin(), angles.cos()}, 1);
  const auto table = at::constant_pad_nd(rows.narrow(0, 1, tokens.size(1)), {0, 0, 1, 0});  // zeros at padding
  return at::embedding(table, places_from_padding(tokens, config_.pad_id));
}

at::Tensor NllbEncoder::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  const auto scale = std::sqrt(static_cast<double>(config_.width));
  return (look_up(token_embedding, tokens) * scale + positions(tokens)).to(compute);
}

}  // namespace vlalign::nn
