#include "vlalign/vla/fusion/attention_pooling.hpp"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "vla/check_shape.hpp"

namespace vlalign::vla {

AttentionPooling::AttentionPooling(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("AttentionPooling", sizes, {.visual_tokens = true, .pooled_text = true}, initializer) {
  check_heads(options.heads);
  check_size(options.queries, "AttentionPooling", "queries");
  const double deviation = 1.0 / std::sqrt(static_cast<double>(sizes.width));
  queries = register_parameter("queries", initializer.normal({options.queries, sizes.width}, deviation));
  visual_proj = projection("visual_proj", sizes.visual_tokens, initializer);
  text_proj = projection("text_proj", sizes.pooled_text, initializer);
  const nn::TransformerOptions block_options{.width = sizes.width, .heads = options.heads};
  block = register_module("block", std::make_shared<nn::ResidualBlock>(block_options, initializer));
  ln_final = register_module("ln_final", std::make_shared<nn::LayerNorm>(sizes.width));
}

Tensor AttentionPooling::fuse(const FusionInput& input) const {
  const auto text = text_proj->forward(input.pooled_text).unsqueeze(1);
  const auto asked = queries.to(text.scalar_type()) + text;
  const auto keys = visual_proj->forward(input.visual_tokens);
  auto mask = logit_weights(input, keys.scalar_type());
  if (mask.defined()) mask = mask.unsqueeze(1).unsqueeze(1);
  return with_state(ln_final->forward(block->forward(keys, asked, mask)), input);
}

}  // namespace vlalign::vla
