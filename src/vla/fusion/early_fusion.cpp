#include "vlalign/vla/fusion/early_fusion.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/ones.h>

#include <array>

#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

constexpr double embedding_deviation = 0.02;

}  // namespace

EarlyFusion::EarlyFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("EarlyFusion", sizes, {.visual_tokens = true, .text_tokens = true}, initializer) {
  check_heads(options.heads);
  check_size(options.readouts, "EarlyFusion", "readouts");
  check_layers(options.layers, "EarlyFusion");
  text_proj = projection("text_proj", sizes.text_tokens, initializer);
  visual_proj = projection("visual_proj", sizes.visual_tokens, initializer);
  const auto embedding = [&](const char* name) {
    return register_parameter(name, initializer.normal({sizes.width}, embedding_deviation));
  };
  text_embedding = embedding("text_embedding");
  visual_embedding = embedding("visual_embedding");
  if (state_proj) state_embedding = embedding("state_embedding");
  readouts = register_parameter("readouts", initializer.normal({options.readouts, sizes.width}, embedding_deviation));
  const nn::TransformerOptions transformer_options{
      .width = sizes.width, .heads = options.heads, .layers = options.layers};
  transformer = register_module("transformer", std::make_shared<nn::Transformer>(transformer_options, initializer));
  ln_final = register_module("ln_final", std::make_shared<nn::LayerNorm>(sizes.width));
}

Tensor EarlyFusion::mask(const FusionInput& input, const Tensor& tokens) const {
  const auto batch = tokens.size(0), length = tokens.size(1), others = length - readouts.size(0);
  const auto bools = tokens.options().requires_grad(false).dtype(at::kBool);
  const auto is_readout =
      at::arange(length, bools.dtype(at::kLong)) >= others;  // which see all, and are seen by none else
  auto seen = is_readout.unsqueeze(1).logical_or(is_readout.logical_not().unsqueeze(0)).unsqueeze(0).unsqueeze(0);
  if (input.text_mask.defined()) {
    const auto behind = at::ones({batch, length - input.text_mask.size(1)}, bools);
    seen = seen & at::cat({input.text_mask, behind}, 1).unsqueeze(1).unsqueeze(1);
  }
  const auto additive = nn::additive_mask(seen, tokens.options().requires_grad(false));
  const auto weights = logit_weights(input, tokens.scalar_type());
  if (!weights.defined()) return additive;
  const auto first = input.text_tokens.size(1);  // of the visual tokens
  const auto columns = at::constant_pad_nd(weights, {first, length - first - weights.size(1)});
  return additive + columns.unsqueeze(1).unsqueeze(1);
}

Tensor EarlyFusion::fuse(const FusionInput& input) const {
  const auto dtype = input.visual_tokens.scalar_type();
  std::array<Tensor, 4> parts;
  std::size_t count = 0;
  parts[count++] = text_proj->forward(input.text_tokens) + text_embedding.to(dtype);
  parts[count++] = visual_proj->forward(input.visual_tokens) + visual_embedding.to(dtype);
  if (state_proj) parts[count++] = (state_proj->forward(input.state) + state_embedding.to(dtype)).unsqueeze(1);
  parts[count++] = readouts.to(dtype).expand({input.visual_tokens.size(0), -1, -1});
  const auto tokens = at::cat(at::TensorList(parts.data(), count), 1);
  const auto fused = transformer->forward(tokens, mask(input, tokens));
  return ln_final->forward(fused.slice(1, -readouts.size(0)));
}

}  // namespace vlalign::vla
