#include "vlalign/vla/fusion/tiled_product.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>

#include "core/check.hpp"
#include "nn/grid_positions.hpp"
#include "vla/check_shape.hpp"
#include "vlalign/vla/fusion/spatial_softmax.hpp"

namespace vlalign::vla {
namespace {

/// [B, 3D]. weights: [B, 1, H, W] of mean 1, or undefined.
Tensor what_and_where(const Tensor& product, const Tensor& weights) {
  if (!weights.defined()) return at::cat({at::gelu(product).mean({2, 3}), spatial_softmax(product)}, 1);
  return at::cat({(at::gelu(product) * weights).mean({2, 3}), spatial_softmax(product + weights.log())}, 1);
}

/// The weights [B, N] of a square grid laid over a map of another size, [B, 1, H, W] of mean 1.
Tensor laid_over(const Tensor& weights, const Tensor& map) {
  if (!weights.defined()) return {};
  const auto side = nn::grid_side(weights.size(1));
  check(side.has_value(), "[TiledProduct] visual_weights of {} places are no square grid", weights.size(1));
  const auto laid = at::adaptive_avg_pool2d(weights.unflatten(1, {1, *side, *side}), {map.size(2), map.size(3)});
  return (laid / laid.mean({2, 3}, true)).to(map.scalar_type());
}

}  // namespace

Tensor tokens_to_map(const Tensor& tokens) {
  check_shape(tokens, {any, any, any}, "tokens_to_map", "tokens");
  const auto count = tokens.size(1);
  const std::int64_t extra = nn::grid_side(count) ? 0 : 1;
  const auto side = nn::grid_side(count - extra);
  check(side && count != 2, "[tokens_to_map] {} tokens are no square grid", count);
  return tokens.narrow(1, extra, count - extra).transpose(1, 2).unflatten(2, {*side, *side});
}

TiledProduct::TiledProduct(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("TiledProduct", sizes, {.maps = true, .pooled_text = true}, initializer) {
  check_size(options.hidden, "TiledProduct", "hidden");
  for (const auto channels : sizes.maps) {
    const auto number = std::to_string(visual_projs.size());
    visual_projs.push_back(projection("visual_proj" + number, channels, initializer));
    text_projs.push_back(projection("text_proj" + number, sizes.pooled_text, initializer));
  }
  const auto joined = 3 * sizes.width * static_cast<std::int64_t>(sizes.maps.size());
  mlp = register_module("mlp", std::make_shared<nn::FeedForward>(joined, options.hidden, sizes.width, initializer));
}

Tensor TiledProduct::fuse(const FusionInput& input) const {
  std::vector<Tensor> scales;
  for (std::size_t i = 0; i < visual_projs.size(); ++i) {
    const auto map = input.maps[i].dim() == 3 ? tokens_to_map(input.maps[i]) : input.maps[i];
    const auto visual = visual_projs[i]->forward(map.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
    const auto text = text_projs[i]->forward(input.pooled_text);
    scales.push_back(
        what_and_where(visual * text.unsqueeze(-1).unsqueeze(-1), laid_over(input.visual_weights, visual)));
  }
  return with_state(mlp->forward(at::cat(scales, 1)).unsqueeze(1), input);
}

}  // namespace vlalign::vla
