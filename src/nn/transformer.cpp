#include "vlalign/nn/transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <string>

namespace vlalign::nn {
namespace {

Tensor in_proj_init(std::int64_t width, const std::optional<double>& deviation, Initializer& initializer) {
  if (deviation) return initializer.normal({3 * width, width}, *deviation);
  return initializer.uniform({3 * width, width}, std::sqrt(6.0 / static_cast<double>(4 * width)));  // Xavier
}

/// [B, L, H*d] to [B, H, L, d]
Tensor split_heads(const Tensor& x, std::int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(1, 2);
}

}  // namespace

Attention::Attention(std::int64_t width, std::int64_t heads, const Init& init, Initializer& initializer)
    : in_proj_weight(register_parameter("in_proj_weight", in_proj_init(width, init.in_proj, initializer))),
      in_proj_bias(register_parameter("in_proj_bias", at::zeros({3 * width}))),
      out_proj(register_module(
          "out_proj",
          std::make_shared<Linear>(
              width, width, Linear::Options{.standard_deviation = init.out_proj, .zero_bias = true}, initializer))),
      heads_(heads) {}

Tensor Attention::forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const {
  const auto width = x.size(-1);
  const auto weight = in_proj_weight.to(x.scalar_type());
  const auto bias = in_proj_bias.to(x.scalar_type());
  Tensor q, k, v;
  if (rows.is_same(x)) {
    const auto qkv = at::linear(x, weight, bias).chunk(3, -1);
    q = qkv[0], k = qkv[1], v = qkv[2];
  } else {
    q = at::linear(rows, weight.narrow(0, 0, width), bias.narrow(0, 0, width));
    const auto kv = at::linear(x, weight.narrow(0, width, 2 * width), bias.narrow(0, width, 2 * width)).chunk(2, -1);
    k = kv[0], v = kv[1];
  }
  const auto mixed = attention(split_heads(q, heads_), split_heads(k, heads_), split_heads(v, heads_), mask);
  return out_proj->forward(mixed.transpose(1, 2).flatten(-2));
}

ResidualBlock::ResidualBlock(const TransformerOptions& options, Initializer& initializer)
    : quick_gelu_(options.quick_gelu) {
  const auto width = options.width;
  const auto hidden = static_cast<std::int64_t>(static_cast<double>(width) * options.mlp_ratio);
  Attention::Init attention_init;
  std::optional<double> fc_deviation, proj_deviation;
  if (options.clip_text_init) {
    const double by_width = 1.0 / std::sqrt(static_cast<double>(width));
    proj_deviation = by_width / std::sqrt(2.0 * static_cast<double>(options.layers));
    fc_deviation = by_width / std::sqrt(2.0);
    attention_init = {.in_proj = by_width, .out_proj = proj_deviation};
  }
  ln_1 = register_module("ln_1", std::make_shared<LayerNorm>(width));
  attn = register_module("attn", std::make_shared<Attention>(width, options.heads, attention_init, initializer));
  ln_2 = register_module("ln_2", std::make_shared<LayerNorm>(width));
  const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>());
  c_fc = mlp->register_module(
      "c_fc",
      std::make_shared<Linear>(width, hidden, Linear::Options{.standard_deviation = fc_deviation}, initializer));
  c_proj = mlp->register_module(
      "c_proj",
      std::make_shared<Linear>(hidden, width, Linear::Options{.standard_deviation = proj_deviation}, initializer));
}

Tensor ResidualBlock::forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const {
  const auto normed = ln_1->forward(x);
  const auto normed_rows = rows.is_same(x) ? normed : ln_1->forward(rows);
  const auto y = rows + attn->forward(normed, normed_rows, mask);
  return y + c_proj->forward(gelu(c_fc->forward(ln_2->forward(y)), quick_gelu_));
}

Transformer::Transformer(const TransformerOptions& options, Initializer& initializer) {
  const auto blocks = register_module("resblocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < options.layers; ++i) {
    resblocks.push_back(
        blocks->register_module(std::to_string(i), std::make_shared<ResidualBlock>(options, initializer)));
  }
}

Tensor Transformer::forward(const Tensor& x, const Tensor& mask) const {
  auto y = x;
  for (const auto& block : resblocks) y = block->forward(y, y, mask);
  return y;
}

Tensor Transformer::forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index) const {
  auto y = x;
  const auto pick = [&index](const Tensor& tokens) {  // [B, L, W] to [B, 1, W]
    return tokens.gather(1, index.view({-1, 1, 1}).expand({-1, 1, tokens.size(-1)}));
  };
  if (resblocks.empty()) return pick(y).squeeze(1);
  for (std::size_t i = 0; i + 1 < resblocks.size(); ++i) y = resblocks[i]->forward(y, y, mask);
  const auto row_mask = mask.defined() ? mask.index_select(0, index).view({-1, 1, 1, mask.size(-1)}) : mask;
  return resblocks.back()->forward(y, pick(y), row_mask).squeeze(1);
}

}  // namespace vlalign::nn
