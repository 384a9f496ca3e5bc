#include "vlalign/vla/fusion/cross_attention.hpp"

#include "vla/check_shape.hpp"
#include "vlalign/nn/text_transformer.hpp"

namespace vlalign::vla {

CrossAttention::CrossAttention(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("CrossAttention", sizes, {.visual_tokens = true, .text_tokens = true}, initializer),
      queries_(options.queries) {
  check_heads(options.heads);
  check_layers(options.layers, "CrossAttention");
  visual_proj = projection("visual_proj", sizes.visual_tokens, initializer);
  text_proj = projection("text_proj", sizes.text_tokens, initializer);
  const nn::TransformerOptions block{.width = sizes.width, .heads = options.heads};
  for (std::int64_t i = 0; i < options.layers; ++i) {
    blocks.push_back(
        register_module("block" + std::to_string(i), std::make_shared<nn::ResidualBlock>(block, initializer)));
  }
  ln_final = register_module("ln_final", std::make_shared<nn::LayerNorm>(sizes.width));
}

Tensor CrossAttention::fuse(const FusionInput& input) const {
  const auto visual = visual_proj->forward(input.visual_tokens), text = text_proj->forward(input.text_tokens);
  const auto& seen = input.text_mask;
  const bool text_asks = queries_ == Queries::text;
  const auto& keys = text_asks ? visual : text;
  Tensor mask;
  if (text_asks && input.visual_weights.defined()) {
    mask = logit_weights(input, keys.scalar_type()).unsqueeze(1).unsqueeze(1);
  } else if (!text_asks && seen.defined()) {
    mask = nn::additive_mask(seen.unsqueeze(1).unsqueeze(1), keys.options().requires_grad(false));
  }
  auto tokens = text_asks ? text : visual;
  for (const auto& block : blocks) tokens = block->forward(keys, tokens, mask);
  tokens = ln_final->forward(tokens);
  if (text_asks) tokens = (seen.defined() ? nn::masked_mean(tokens, seen) : tokens.mean(1)).unsqueeze(1);
  return with_state(text_asks ? tokens : weighted(tokens, input), input);
}

}  // namespace vlalign::vla
