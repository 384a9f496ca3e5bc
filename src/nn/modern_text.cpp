#include "vlalign/nn/modern_text.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/validate.hpp"
#include "core/traced.hpp"
#include "nn/check_inputs.hpp"
#include "vlalign/nn/text_transformer.hpp"

namespace vlalign::nn {
namespace {

using Pool = TextConfig::Pool;

bool is_sandwich(const TextConfig& config) { return config.block.attention_norm; }

/// Of what goes into attention's products.
double input_deviation(const TextConfig& config) {
  return is_sandwich(config) ? 0.02 : 1.0 / std::sqrt(static_cast<double>(config.width));
}

Tensor in_heads(const Tensor& x, std::int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(1, 2);
}

}  // namespace

TextAttentionPool::TextAttentionPool(const TextConfig& config, Initializer& initializer) : heads_(config.heads) {
  const auto width = config.width;
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  const Linear::Options options{
      .bias = config.block.attention_bias, .standard_deviation = deviation, .zero_bias = true};
  query = register_parameter("query", initializer.normal({width}, deviation));
  q = register_module("q", std::make_shared<Linear>(width, width, options, initializer));
  kv = register_module("kv", std::make_shared<Linear>(width, 2 * width, options, initializer));
  if (!config.block.head_norms) return;
  const auto norm = [&](const char* name) {
    return register_module(name, make_norm(config.block.norm, width / heads_, config.norm_eps));
  };
  q_norm = norm("q_norm"), k_norm = norm("k_norm");
}

Tensor TextAttentionPool::forward(const Tensor& x, const Tensor& seen) const {
  auto queries = in_heads(q->forward(query.to(x.scalar_type()).expand({x.size(0), 1, -1})), heads_);
  const auto both = kv->forward(x).chunk(2, -1);
  auto keys = in_heads(both[0], heads_);
  if (q_norm) queries = q_norm->forward(queries), keys = k_norm->forward(keys);
  const auto mask = additive_mask(seen, x.options().requires_grad(false)).unsqueeze(1).unsqueeze(1);
  return attention(queries, keys, in_heads(both[1], heads_), mask).flatten(1);
}

ModernText::ModernText(const TextConfig& config, Initializer& initializer) : config_(config) {
  validate(config, "[ModernText]");
  const auto table = register_module("token_embedding", std::make_shared<torch::nn::Module>());
  token_embedding =
      table->register_parameter("weight", initializer.normal({config.vocab_size, config.width}, config.token_std));
  if (config.registers > 0)
    registers = register_parameter("registers", initializer.normal({config.registers, config.width}, 1e-6));
  const auto norm = [&](const char* name) {
    return register_module(name, make_norm(config.block.norm, config.width, config.norm_eps));
  };
  if (config.ln_pre) ln_pre = norm("ln_pre");
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
  ln_final = norm("ln_final");
  if (config.pool == Pool::attention)
    pool = register_module("pool", std::make_shared<TextAttentionPool>(config, initializer));
  initialize(initializer);
}

void ModernText::initialize(Initializer& initializer) {
  const at::NoGradGuard no_grad;
  constexpr double gated_gain = 1.22;  // a gate's product varies less than the GELU that CLIP's deviation is for
  const bool gated = config_.block.mlp != BlockConfig::Mlp::plain;
  token_embedding.select(0, config_.pad_id).zero_();
  for (const auto& block : transformer->resblocks) {
    if (is_sandwich(config_)) {
      const auto& attn = *block->attn;
      for (const auto& weight :
           {attn.in_proj_weight, attn.out_proj->weight, block->mlp->c_fc->weight, block->mlp->c_proj->weight})
        weight.copy_(initializer.normal(weight.sizes(), 0.02));
    } else if (gated) {
      block->mlp->c_fc->weight.mul_(gated_gain);
    }
    for (const auto& layer : {block->attn->out_proj, block->mlp->c_fc, block->mlp->c_proj})
      if (layer->bias.defined()) layer->bias.zero_();
    const auto& gate = block->attn->gate;
    if (!gate) continue;
    gate->weight.copy_(initializer.normal(gate->weight.sizes(), input_deviation(config_)));
    if (gate->bias.defined()) gate->bias.fill_(1);  // mostly open
  }
}

Rotation ModernText::rotation(std::int64_t length, c10::Device device) const {
  // A recording takes it from a table: other engines have no doubles for its angles.
  const auto most = is_traced() ? std::max(length, config_.context_length + config_.registers) : length;
  auto whole = line_rotation(config_.rotary_temperature, most, config_.width / config_.heads).to(device);
  if (most > length) whole.cosines = whole.cosines.narrow(0, 0, length), whole.sines = whole.sines.narrow(0, 0, length);
  return whole;
}

ModernText::Embedded ModernText::embed(const at::Tensor& tokens, at::ScalarType compute) const {
  check_tokens(tokens, "ModernText");
  check_length(tokens, input.context_length.value_or(config_.context_length), "ModernText");
  check_ids(tokens, config_.vocab_size, "ModernText");
  Embedded all;
  auto x = look_up(token_embedding, tokens).to(compute);
  if (registers.defined()) x = at::cat({registers.to(compute).expand({x.size(0), -1, -1}), x}, 1);
  all.tokens = ln_pre ? ln_pre->forward(x) : x;
  const auto text = tokens != config_.pad_id;
  all.seen = text.index_fill(1, at::zeros({1}, tokens.options()), true).where(~text.any(1, /*keepdim=*/true), text);
  all.mask = mask_of(all.seen, x.options().requires_grad(false));
  if (config_.positions == TextConfig::Positions::rotary) all.rotation = rotation(x.size(1), tokens.device());
  return all;
}

at::Tensor ModernText::mask_of(const at::Tensor& seen, const at::TensorOptions& options) const {
  const auto length = seen.size(1) + config_.registers;
  if (config_.causal) return at::full({length, length}, -std::numeric_limits<double>::infinity(), options).triu_(1);
  const auto in_front = at::ones({seen.size(0), config_.registers}, seen.options());
  return additive_mask(at::cat({in_front, seen}, 1), options).unsqueeze(1).unsqueeze(1);
}

at::Tensor ModernText::end_of(const at::Tensor& tokens, const at::Tensor& seen) const {
  const auto ends = tokens == config_.end_id;
  const auto last = seen.sum(1) - 1;
  return at::where(ends.any(1), ends.to(at::kInt).argmax(1), last);
}

at::Tensor ModernText::pooled(const at::Tensor& x, const at::Tensor& tokens, const at::Tensor& seen) const {
  if (pool) return pool->forward(x, seen);
  return config_.pool == Pool::mean ? masked_mean(x, seen) : token_at(x, end_of(tokens, seen));
}

at::Tensor ModernText::forward(const at::Tensor& tokens, at::ScalarType compute) {
  const auto [x, seen, mask, rotation] = embed(tokens, compute);
  if (config_.pool == Pool::end_token) {
    const auto place = end_of(tokens, seen) + config_.registers;
    return ln_final->forward(transformer->forward_pooled(x, mask, place, rotation));
  }
  const auto y = transformer->forward(x, mask, nullptr, {}, rotation);
  return pooled(ln_final->forward(text_of(y)), tokens, seen);
}

Features ModernText::features(const at::Tensor& tokens, at::ScalarType compute, std::span<const std::int64_t> layers) {
  const auto wanted = resolve_layers(layers, config_.layers);
  const auto [x, seen, mask, rotation] = embed(tokens, compute);
  std::vector<at::Tensor> outputs;
  const auto y = transformer->forward(x, mask, &outputs, {}, rotation);
  Features features;
  features.tokens = ln_final->forward(text_of(y));
  features.mask = seen;
  features.pooled = pooled(features.tokens, tokens, seen);
  for (const auto layer : wanted) features.hidden.push_back(text_of(outputs[static_cast<std::size_t>(layer)]));
  return features;
}

std::int64_t ModernText::group_of(std::string_view name) const {
  if (const auto block = block_number(name)) return 1 + *block;
  return name.starts_with("ln_final") || name.starts_with("pool") ? config_.layers : 0;
}

}  // namespace vlalign::nn
