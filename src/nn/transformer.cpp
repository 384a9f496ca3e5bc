#include "vlalign/nn/transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/product.hpp"
#include "nn/activation_checkpoint.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::nn {
namespace {

/// `rows` products of a vector of `width`; Xavier's uniform without a deviation.
Tensor projection_init(std::int64_t rows, std::int64_t width, const std::optional<double>& deviation,
                       Initializer& initializer) {
  if (deviation) return initializer.normal({rows, width}, *deviation);
  return initializer.uniform({rows, width}, std::sqrt(6.0 / static_cast<double>(rows + width)));
}

/// [B, L, H*d] to [B, H, L, d]
Tensor split_heads(const Tensor& x, std::int64_t heads) {
  return x.unflatten(-1, {heads, x.size(-1) / heads}).transpose(1, 2);
}

/// A mask's rows for one query a sequence.
Tensor mask_at(const Tensor& mask, const Tensor& index) {
  if (!mask.defined()) return mask;
  if (mask.dim() == 2) return mask.index_select(0, index).view({-1, 1, 1, mask.size(-1)});
  if (mask.size(2) == 1) return mask;
  return mask.gather(2, index.view({-1, 1, 1, 1}).expand({-1, 1, 1, mask.size(-1)}));
}

}  // namespace

Attention::Attention(std::int64_t width, std::int64_t heads, const Options& options, Initializer& initializer)
    : heads_(heads) {
  const auto key_width = options.key_width.value_or(width);
  const auto weight = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    return register_parameter(name, projection_init(rows, columns, options.in_proj, initializer));
  };
  if (key_width == width) {
    in_proj_weight = weight("in_proj_weight", 3 * width, width);
  } else {
    q_proj_weight = weight("q_proj_weight", width, width);
    k_proj_weight = weight("k_proj_weight", width, key_width);
    v_proj_weight = weight("v_proj_weight", width, key_width);
  }
  in_proj_bias = register_parameter("in_proj_bias", at::zeros({3 * width}));
  const Linear::Options out{.standard_deviation = options.out_proj, .zero_bias = true};
  out_proj = register_module("out_proj", std::make_shared<Linear>(width, width, out, initializer));
}

Tensor Attention::project(const Tensor& x, std::int64_t first, std::int64_t count) const {
  const auto width = in_proj_weight.size(1);
  const auto rows = [&](const Tensor& fused) {
    return count == 3 ? fused : fused.narrow(0, first * width, count * width);
  };
  const auto which = static_cast<std::size_t>(count == 3 ? 0 : count);
  const auto y = product_[which](x, rows(in_proj_weight), rows(in_proj_bias), packed_);
  return lora ? lora->add_to(y, x, first, count) : y;
}

Tensor Attention::forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const {
  Tensor q, k, v;
  if (!in_proj_weight.defined()) {
    const auto dtype = x.scalar_type();
    const auto width = rows.size(-1);
    const auto bias = in_proj_bias.to(dtype);
    q = product(rows, q_proj_weight.to(dtype), bias.narrow(0, 0, width));
    k = product(x, k_proj_weight.to(dtype), bias.narrow(0, width, width));
    v = product(x, v_proj_weight.to(dtype), bias.narrow(0, 2 * width, width));
  } else if (rows.is_same(x)) {
    const auto qkv = project(x, 0, 3).chunk(3, -1);
    q = qkv[0], k = qkv[1], v = qkv[2];
  } else {
    q = project(rows, 0, 1);
    const auto kv = project(x, 1, 2).chunk(2, -1);
    k = kv[0], v = kv[1];
  }
  const auto mixed = attention(split_heads(q, heads_), split_heads(k, heads_), split_heads(v, heads_), mask);
  return out_proj->forward(mixed.transpose(1, 2).flatten(-2));
}

void Attention::pack() {
  if (!packed_) packed_ = true;
  out_proj->pack();
}

Mlp::Mlp(const TransformerOptions& options, Initializer& initializer) : activation_(options.activation) {
  constexpr double rounding = 1e-6;  // a ratio that was a quotient gives back its dividend
  const auto hidden = static_cast<std::int64_t>(static_cast<double>(options.width) * options.mlp_ratio + rounding);
  Linear::Options fc, proj;
  if (options.clip_text_init) {
    const auto width = static_cast<double>(options.width);
    fc.standard_deviation = 1.0 / std::sqrt(2.0 * width);
    proj.standard_deviation = 1.0 / std::sqrt(2.0 * width * static_cast<double>(options.layers));
  }
  c_fc = register_module("c_fc", std::make_shared<Linear>(options.width, hidden, fc, initializer));
  c_proj = register_module("c_proj", std::make_shared<Linear>(hidden, options.width, proj, initializer));
}

Tensor Mlp::forward(const Tensor& x) const { return c_proj->forward(activate(c_fc->forward(x), activation_)); }

ResidualBlock::ResidualBlock(const TransformerOptions& options, Initializer& initializer)
    : post_norm_(options.post_norm) {
  const auto width = options.width;
  Attention::Options attention_options;
  if (options.clip_text_init) {
    const double by_width = 1.0 / std::sqrt(static_cast<double>(width));
    attention_options = {.in_proj = by_width,
                         .out_proj = by_width / std::sqrt(2.0 * static_cast<double>(options.layers))};
  }
  ln_1 = register_module("ln_1", std::make_shared<LayerNorm>(width, options.norm_eps));
  attn = register_module("attn", std::make_shared<Attention>(width, options.heads, attention_options, initializer));
  ln_2 = register_module("ln_2", std::make_shared<LayerNorm>(width, options.norm_eps));
  mlp = register_module("mlp", std::make_shared<Mlp>(options, initializer));
  if (!options.layer_scale) return;
  const auto scale = [&](const char* name) {
    const auto owner = register_module(name, std::make_shared<torch::nn::Module>());
    return owner->register_parameter("gamma", at::full({width}, *options.layer_scale));
  };
  scale_1 = scale("ls_1");
  scale_2 = scale("ls_2");
}

Tensor ResidualBlock::forward(const Tensor& x, const Tensor& rows, const Tensor& mask) const {
  const auto scaled = [](const Tensor& branch, const Tensor& scale) {
    return scale.defined() ? branch * scale.to(branch.scalar_type()) : branch;
  };
  if (post_norm_) {
    const auto y = ln_1->forward(rows + scaled(attn->forward(x, rows, mask), scale_1));
    return ln_2->forward(y + scaled(mlp->forward(y), scale_2));
  }
  const auto normed = ln_1->forward(x);
  const auto normed_rows = rows.is_same(x) ? normed : ln_1->forward(rows);
  const auto y = rows + scaled(attn->forward(normed, normed_rows, mask), scale_1);
  return y + scaled(mlp->forward(ln_2->forward(y)), scale_2);
}

Transformer::Transformer(const TransformerOptions& options, Initializer& initializer) {
  const auto blocks = register_module("resblocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < options.layers; ++i) {
    resblocks.push_back(
        blocks->register_module(std::to_string(i), std::make_shared<ResidualBlock>(options, initializer)));
  }
}

Tensor Transformer::forward(const Tensor& x, const Tensor& mask, std::vector<Tensor>* outputs,
                            const LayerHook& hook) const {
  auto y = x;
  for (std::size_t i = 0; i < resblocks.size(); ++i) {
    y = run(resblocks[i], y, y, mask);
    if (hook) y = hook(static_cast<std::int64_t>(i), y);
    if (outputs) outputs->push_back(y);
  }
  return y;
}

Tensor Transformer::forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index) const {
  if (resblocks.empty()) return token_at(x, index);
  auto y = x;
  for (std::size_t i = 0; i + 1 < resblocks.size(); ++i) y = run(resblocks[i], y, y, mask);
  return run(resblocks.back(), y, token_at(y, index).unsqueeze(1), mask_at(mask, index)).squeeze(1);
}

Tensor Transformer::run(const std::shared_ptr<ResidualBlock>& block, const Tensor& x, const Tensor& rows,
                        const Tensor& mask) const {
  if (!checkpoints) return block->forward(x, rows, mask);
  const bool all_rows = rows.is_same(x);
  return checkpointed([=](const Inputs& in) { return block->forward(in.front(), in.back(), mask); },
                      all_rows ? Inputs{x} : Inputs{x, rows}, block->parameters());
}

Tensor additive_mask(const Tensor& seen, const at::TensorOptions& options) {
  return at::zeros(seen.sizes(), options).masked_fill_(~seen, -std::numeric_limits<double>::infinity());
}

Tensor token_at(const Tensor& x, const Tensor& index) {
  return x.gather(1, index.view({-1, 1, 1}).expand({-1, 1, x.size(-1)})).squeeze(1);
}

std::optional<std::int64_t> block_number(std::string_view name) {
  constexpr std::string_view marker = "resblocks.";
  const auto at = name.find(marker);
  if (at == name.npos) return {};
  std::int64_t number = 0;
  std::from_chars(name.data() + at + marker.size(), name.data() + name.size(), number);
  return number;
}

}  // namespace vlalign::nn
