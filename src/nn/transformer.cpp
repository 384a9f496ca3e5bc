#include "vlalign/nn/transformer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "nn/activation_checkpoint.hpp"
#include "nn/drop_path.hpp"

namespace vlalign::nn {
namespace {

/// A mask's rows for one query a sequence.
Tensor mask_at(const Tensor& mask, const Tensor& index) {
  if (!mask.defined()) return mask;
  if (mask.dim() == 2) return mask.index_select(0, index).view({-1, 1, 1, mask.size(-1)});
  if (mask.size(2) == 1) return mask;
  const auto rows = index.view({-1, 1, 1, 1}).expand({-1, mask.size(1), 1, mask.size(3)});
  return mask.expand({index.size(0), -1, -1, -1}).gather(2, rows);
}

}  // namespace

ResidualBlock::ResidualBlock(const TransformerOptions& options, Initializer& initializer, std::int64_t number)
    : placement_(options.block.placement),
      dropout_(options.block.dropout),
      attention_dropout_(options.block.attention_dropout),
      drop_path_(path_probability(options.block.drop_path, number, options.layers)) {
  const auto width = options.width;
  const auto norm = [&](const char* name) {
    return register_module(name, make_norm(options.block.norm, width, options.norm_eps));
  };
  Attention::Options attention_options{.head_width = options.head_width,
                                       .scale = options.attention_scale,
                                       .norm_eps = options.norm_eps,
                                       .block = options.block};
  if (options.clip_text_init) {
    const double by_width = 1.0 / std::sqrt(static_cast<double>(width));
    attention_options.in_proj = by_width;
    attention_options.out_proj = by_width / std::sqrt(2.0 * static_cast<double>(options.layers));
  }
  ln_1 = norm("ln_1");
  attn = register_module("attn", std::make_shared<Attention>(width, options.heads, attention_options, initializer));
  if (options.block.attention_norm) ln_attn = norm("ln_attn");
  ln_2 = norm("ln_2");
  mlp = register_module("mlp", std::make_shared<Mlp>(options, initializer));
  if (options.block.mlp_norm) ln_mlp = norm("ln_mlp");
  if (!options.layer_scale) return;
  const auto scale = [&](const char* name) {
    const auto owner = register_module(name, std::make_shared<torch::nn::Module>());
    return owner->register_parameter("gamma", at::full({width}, *options.layer_scale));
  };
  scale_1 = scale("ls_1");
  scale_2 = scale("ls_2");
}

bool ResidualBlock::draws() const {
  return is_training() && (dropout_ > 0 || attention_dropout_ > 0 || drop_path_ > 0);
}

Tensor ResidualBlock::branch(const Tensor& y, const std::shared_ptr<Norm>& norm, const Tensor& scale) const {
  auto out = dropped(y, dropout_, is_training());
  if (norm) out = norm->forward(out);
  if (scale.defined()) out = out * scale.to(out.scalar_type());
  return along(drawn_paths(out, drop_path_, is_training()), out);
}

Tensor ResidualBlock::forward(const Tensor& x, const Tensor& rows, const Tensor& mask,
                              const Rotations& rotations) const {
  using Placement = BlockConfig::Placement;
  if (placement_ == Placement::behind_sum) {
    const auto y = ln_1->forward(rows + branch(attn->forward(x, rows, mask, rotations), ln_attn, scale_1));
    return ln_2->forward(y + branch(mlp->forward(y), ln_mlp, scale_2));
  }
  if (placement_ == Placement::behind_branch) {
    const auto y = rows + branch(attn->forward(x, rows, mask, rotations), ln_1, scale_1);
    return y + branch(mlp->forward(y), ln_2, scale_2);
  }
  const auto normed = ln_1->forward(x);
  const auto normed_rows = rows.is_same(x) ? normed : ln_1->forward(rows);
  const auto y = rows + branch(attn->forward(normed, normed_rows, mask, rotations), ln_attn, scale_1);
  return y + branch(mlp->forward(ln_2->forward(y)), ln_mlp, scale_2);
}

Transformer::Transformer(const TransformerOptions& options, Initializer& initializer) {
  const auto blocks = register_module("resblocks", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < options.layers; ++i) {
    resblocks.push_back(
        blocks->register_module(std::to_string(i), std::make_shared<ResidualBlock>(options, initializer, i)));
  }
}

Tensor Transformer::forward(const Tensor& x, const Tensor& mask, std::vector<Tensor>* outputs, const LayerHook& hook,
                            const Rotation& rotation) const {
  const Rotations rotations{rotation, rotation};
  auto y = x;
  for (std::size_t i = 0; i < resblocks.size(); ++i) {
    y = run(resblocks[i], y, y, mask, rotations);
    if (hook) y = hook(static_cast<std::int64_t>(i), y);
    if (outputs) outputs->push_back(y);
  }
  return y;
}

Tensor Transformer::forward_pooled(const Tensor& x, const Tensor& mask, const Tensor& index,
                                   const Rotation& rotation) const {
  if (resblocks.empty()) return token_at(x, index);
  const Rotations rotations{rotation, rotation};
  auto y = x;
  for (std::size_t i = 0; i + 1 < resblocks.size(); ++i) y = run(resblocks[i], y, y, mask, rotations);
  return run(resblocks.back(), y, token_at(y, index).unsqueeze(1), mask_at(mask, index), {rotation.at(index), rotation})
      .squeeze(1);
}

Tensor Transformer::run(const std::shared_ptr<ResidualBlock>& block, const Tensor& x, const Tensor& rows,
                        const Tensor& mask, const Rotations& rotations) const {
  if (!checkpoints) return block->forward(x, rows, mask, rotations);
  const bool learned = mask.defined() && mask.requires_grad();  // T5's bias by distance
  Inputs inputs{x};
  if (!rows.is_same(x)) inputs.push_back(rows);
  const auto last = inputs.size() - 1;
  if (learned) inputs.push_back(mask);
  return checkpointed(
      [=](const Inputs& in) { return block->forward(in.front(), in[last], learned ? in.back() : mask, rotations); },
      inputs, block->parameters(), block->draws());
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
