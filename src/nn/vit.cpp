#include "vlalign/nn/vit.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/check.hpp"

namespace vlalign::nn {

Vit::Vit(const VitConfig& config, std::int64_t image_size, bool quick_gelu, Initializer& initializer)
    : width_(config.width) {
  check(config.patch_size > 0 && image_size % config.patch_size == 0,
        "[Vit] image_size {} is not a multiple of patch_size {}", image_size, config.patch_size);
  check(config.head_width > 0 && config.width % config.head_width == 0,
        "[Vit] width {} is not a multiple of head_width {}", config.width, config.head_width);
  const double deviation = 1.0 / std::sqrt(static_cast<double>(config.width));
  const auto grid = image_size / config.patch_size;
  class_embedding = register_parameter("class_embedding", initializer.normal({config.width}, deviation));
  positional_embedding =
      register_parameter("positional_embedding", initializer.normal({1 + grid * grid, config.width}, deviation));
  conv1 = register_module(
      "conv1", std::make_shared<Conv2d>(3, config.width, config.patch_size, config.patch_size, 0, initializer));
  ln_pre = register_module("ln_pre", std::make_shared<LayerNorm>(config.width));
  const TransformerOptions options{.width = config.width,
                                   .heads = config.width / config.head_width,
                                   .layers = config.layers,
                                   .mlp_ratio = config.mlp_ratio,
                                   .quick_gelu = quick_gelu};
  transformer = register_module("transformer", std::make_shared<Transformer>(options, initializer));
  ln_post = register_module("ln_post", std::make_shared<LayerNorm>(config.width));
}

at::Tensor Vit::forward(const at::Tensor& pixels, at::ScalarType compute) {
  const auto patches = conv1->forward(pixels.to(compute)).flatten(2).transpose(1, 2);  // [B, N, W]
  check(patches.size(1) + 1 == positional_embedding.size(0),
        "[Vit] pixels: expected {} patches an image, got {} from {}x{} px", positional_embedding.size(0) - 1,
        patches.size(1), pixels.size(2), pixels.size(3));
  const auto cls = class_embedding.to(compute).expand({patches.size(0), 1, -1});
  const auto tokens = at::cat({cls, patches}, 1) + positional_embedding.to(compute);
  const auto first = at::zeros({patches.size(0)}, patches.options().dtype(at::kLong));
  return ln_post->forward(transformer->forward_pooled(ln_pre->forward(tokens), {}, first));
}

}  // namespace vlalign::nn
