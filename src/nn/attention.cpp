#include "vlalign/nn/attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/product.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::nn {
namespace {

const double largest_log_scale = std::log(100.0);  // of cosine attention (Liu et al. 2022)

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

}  // namespace

Attention::Attention(std::int64_t width, std::int64_t heads, const Options& options, Initializer& initializer)
    : heads_(heads),
      inner_(heads * options.head_width.value_or(width / heads)),
      scale_(options.scale),
      dropout_(options.block.attention_dropout) {
  make_in_proj(width, options, initializer);
  const Linear::Options out{
      .bias = options.block.attention_bias, .standard_deviation = options.out_proj, .zero_bias = true};
  out_proj = register_module("out_proj", std::make_shared<Linear>(inner_, width, out, initializer));
  make_extras(width, options, initializer);
}

void Attention::make_in_proj(std::int64_t width, const Options& options, Initializer& initializer) {
  const auto key_width = options.key_width.value_or(width);
  const auto weight = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    return register_parameter(name, projection_init(rows, columns, options.in_proj, initializer));
  };
  if (key_width == width) {
    in_proj_weight = weight("in_proj_weight", 3 * inner_, width);
  } else {
    q_proj_weight = weight("q_proj_weight", inner_, width);
    k_proj_weight = weight("k_proj_weight", inner_, key_width);
    v_proj_weight = weight("v_proj_weight", inner_, key_width);
  }
  if (options.block.qkv_bias == BlockConfig::QkvBias::all)
    in_proj_bias = register_parameter("in_proj_bias", at::zeros({3 * inner_}));
  if (options.block.qkv_bias != BlockConfig::QkvBias::all_but_keys) return;
  q_bias = register_parameter("q_bias", at::zeros({inner_}));
  v_bias = register_parameter("v_bias", at::zeros({inner_}));
}

void Attention::make_extras(std::int64_t width, const Options& options, Initializer& initializer) {
  const auto& block = options.block;
  const auto norm = [&](const char* name, std::int64_t size) {
    return register_module(name, make_norm(block.norm, size, options.norm_eps));
  };
  if (block.head_norms) ln_q = norm("ln_q", inner_ / heads_), ln_k = norm("ln_k", inner_ / heads_);
  if (block.inner_norm) ln_inner = norm("ln_inner", inner_);
  if (block.cosine_attention) log_scale = register_parameter("logit_scale", at::full({heads_, 1, 1}, std::log(10.0)));
  if (block.head_scales) head_scale = register_parameter("head_scale", at::ones({heads_, 1, 1}));
  if (block.gate)
    gate = register_module(
        "gate", std::make_shared<Linear>(width, inner_, Linear::Options{.bias = block.gate_bias}, initializer));
}

Tensor Attention::bias(at::ScalarType dtype) const {
  // Cast here: what is made anew each time must not be kept by where it lies.
  return q_bias.defined() ? at::cat({q_bias, at::zeros_like(q_bias), v_bias}).to(dtype) : in_proj_bias;
}

Tensor Attention::project_thirds(const Tensor& x, std::int64_t first, std::int64_t count) const {
  const auto all = bias(x.scalar_type());
  const auto rows = [&](const Tensor& fused) {
    return count == 3 || !fused.defined() ? fused : fused.narrow(0, first * inner_, count * inner_);
  };
  const auto which = static_cast<std::size_t>(count == 3 ? 0 : count);
  const auto y = product_[which](x, rows(in_proj_weight), rows(all), packed_);
  return lora ? lora->add_to(y, x, first, count) : y;
}

Attention::Projected Attention::project(const Tensor& x, const Tensor& rows) const {
  const auto heads = [this](const Tensor& y) { return split_heads(y, heads_); };
  if (!in_proj_weight.defined()) {
    const auto dtype = x.scalar_type();
    const auto all = bias(dtype);
    const auto third = [&](const Tensor& input, const Tensor& weight, std::int64_t number) {
      return heads(product(input, weight.to(dtype),
                           all.defined() ? all.narrow(0, number * inner_, inner_).to(dtype) : Tensor()));
    };
    return {third(rows, q_proj_weight, 0), third(x, k_proj_weight, 1), third(x, v_proj_weight, 2)};
  }
  if (rows.is_same(x)) {
    const auto qkv = project_thirds(x, 0, 3).chunk(3, -1);
    return {heads(qkv[0]), heads(qkv[1]), heads(qkv[2])};
  }
  const auto kv = project_thirds(x, 1, 2).chunk(2, -1);
  return {heads(project_thirds(rows, 0, 1)), heads(kv[0]), heads(kv[1])};
}

Tensor Attention::mix(Projected p, const Tensor& mask, const Rotations& rotations) const {
  if (ln_q) p.q = ln_q->forward(p.q), p.k = ln_k->forward(p.k);
  p.q = rotated(p.q, rotations.rows), p.k = rotated(p.k, rotations.keys);
  auto scale = scale_;
  if (log_scale.defined()) {
    const auto dtype = p.q.scalar_type();
    p.q = (l2_normalize(p.q) * log_scale.clamp_max(largest_log_scale).exp()).to(dtype);
    p.k = l2_normalize(p.k).to(dtype);
    scale = 1.0;
  }
  auto mixed = !is_training() && fits_blocks(p.q, p.k, p.v)
                   ? attention_in_blocks(p.q, p.k, p.v, mask, scale)
                   : attention(p.q, p.k, p.v, mask, scale, is_training() ? dropout_ : 0.0);
  if (head_scale.defined()) mixed = mixed * head_scale.to(mixed.scalar_type());
  return mixed.transpose(1, 2).flatten(-2);
}

Tensor Attention::forward(const Tensor& x, const Tensor& rows, const Tensor& mask, const Rotations& rotations) const {
  auto mixed = mix(project(x, rows), mask, rotations);
  if (ln_inner) mixed = ln_inner->forward(mixed);
  if (gate) mixed = mixed * at::sigmoid(gate->forward(rows));
  return out_proj->forward(mixed);
}

void Attention::pack() {
  if (!packed_) packed_ = true;
  out_proj->pack();
}

}  // namespace vlalign::nn
