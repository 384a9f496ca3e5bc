#include "vlalign/nn/t5.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/log.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "config/config_fields.hpp"
#include "config/validate.hpp"
#include "core/traced.hpp"

namespace vlalign::nn {
namespace {

double t5_deviation(std::int64_t inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }

}  // namespace

at::Tensor relative_buckets(std::int64_t length, std::int64_t buckets, std::int64_t distance, at::Device device) {
  const auto places = at::arange(length, at::TensorOptions(at::kLong).device(device));
  const auto steps = places.unsqueeze(0) - places.unsqueeze(1);
  const auto half = buckets / 2, single = half / 2;
  const auto away = steps.abs();
  // In float32 and in this order, as the weights were trained: a boundary may fall on either side of a whole distance.
  const auto logarithms = at::log(away.to(at::kFloat) / static_cast<double>(single)) /
                          std::log(static_cast<double>(distance) / static_cast<double>(single)) *
                          static_cast<double>(half - single);
  const auto far = (logarithms.clamp(0, static_cast<double>(half)).to(at::kLong) + single).clamp_max(half - 1);
  return (steps > 0).to(at::kLong) * half + at::where(away < single, away, far);
}

T5Encoder::T5Encoder(const TextConfig& config, Initializer& initializer) : MaskedText(config, "T5Encoder") {
  validate(config, "[T5Encoder]");
  token_embedding = add_table(*this, "token_embedding", config.vocab_size, config.token_std, initializer);
  const auto bias = register_module("relative_attention_bias", std::make_shared<torch::nn::Module>());
  relative_bias = bias->register_parameter(
      "weight", initializer.normal({config.relative_buckets, config.heads}, t5_deviation(config.width)));
  add_transformer({.attention_scale = 1.0, .block = config.block}, initializer);
  ln_final = register_module("ln_final", make_norm(config.block.norm, config.width, config.norm_eps));
  draw_weights(initializer);
}

/// As T5 draws them: unscaled products need small queries.
void T5Encoder::draw_weights(Initializer& initializer) {
  const at::NoGradGuard no_graph;
  const auto draw = [&](const at::Tensor& weight, double deviation) {
    weight.copy_(initializer.normal(weight.sizes(), deviation));
  };
  const auto by_width = t5_deviation(config_.width);
  for (const auto& block : transformer->resblocks) {
    const auto inner = block->attn->out_proj->weight.size(1);
    draw(block->attn->in_proj_weight, by_width);
    block->attn->in_proj_weight.narrow(0, 0, inner).mul_(t5_deviation(inner / config_.heads));
    draw(block->attn->out_proj->weight, t5_deviation(inner));
    draw(block->mlp->c_fc->weight, by_width);
    draw(block->mlp->c_proj->weight, t5_deviation(mlp_width(config_.width, config_.mlp_ratio)));
  }
}

at::Tensor T5Encoder::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  return look_up(token_embedding, tokens).to(compute);
}

at::Tensor T5Encoder::mask(const at::Tensor& seen, const at::TensorOptions& options) const {
  const auto length = seen.size(1);
  // A recording takes them from a table: another engine's logarithms may round to another bucket.
  const auto most = is_traced() ? std::max(length, config_.context_length) : length;
  const auto buckets = relative_buckets(most, config_.relative_buckets, config_.relative_distance, seen.device())
                           .narrow(0, 0, length)
                           .narrow(1, 0, length);
  const auto bias = at::embedding(relative_bias, buckets).permute({2, 0, 1}).unsqueeze(0);
  return bias.to(options.dtype()) + MaskedText::mask(seen, options);
}

at::Tensor T5Encoder::finished(const at::Tensor& y) const {
  const auto normed = ln_final->forward(y);
  return dropped(normed, config_.block.dropout, is_training());
}

std::int64_t T5Encoder::group_of(std::string_view name) const {
  const bool first_block = name.starts_with("relative_attention_bias") && config_.layers > 0;
  return first_block ? 1 : MaskedText::group_of(name);
}

}  // namespace vlalign::nn
