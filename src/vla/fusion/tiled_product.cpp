#include "vlalign/vla/fusion/tiled_product.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>

#include "core/check.hpp"
#include "nn/grid_positions.hpp"
#include "vlalign/vla/fusion/spatial_softmax.hpp"

namespace vlalign::vla {
namespace {

/// [B, 3D]
Tensor what_and_where(const Tensor& product) {
  return at::cat({at::gelu(product).mean({2, 3}), spatial_softmax(product)}, 1);
}

}  // namespace

Tensor tokens_to_map(const Tensor& tokens) {
  const auto count = tokens.size(1);
  const std::int64_t extra = nn::grid_side(count) ? 0 : 1;
  const auto side = nn::grid_side(count - extra);
  check(side && count != 2, "[tokens_to_map] {} tokens are no square grid", count);
  return tokens.narrow(1, extra, count - extra).transpose(1, 2).unflatten(2, {*side, *side});
}

TiledProduct::TiledProduct(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer)
    : Fusion("TiledProduct", sizes, {.maps = true, .pooled_text = true}, initializer) {
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
    scales.push_back(what_and_where(visual * text.unsqueeze(-1).unsqueeze(-1)));
  }
  return with_state(mlp->forward(at::cat(scales, 1)).unsqueeze(1), input);
}

}  // namespace vlalign::vla
