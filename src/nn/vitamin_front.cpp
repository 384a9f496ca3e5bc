#include "nn/vitamin_front.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/gelu.h>

#include <cmath>
#include <string>

#include "nn/activation_checkpoint.hpp"
#include "nn/channels.hpp"

namespace vlalign::nn {

VitaminBlock::VitaminBlock(std::int64_t in, std::int64_t out, std::int64_t stride, double norm_eps,
                           Initializer& initializer)
    : stride_(stride) {
  const auto middle = 4 * out;
  const auto pointwise = [&](std::int64_t from, std::int64_t to) {
    const Linear::Options options{.standard_deviation = std::sqrt(2.0 / static_cast<double>(to)), .zero_bias = true};
    return std::make_shared<Linear>(from, to, options, initializer);
  };
  if (in != out)
    expand_ = register_module("shortcut", std::make_shared<torch::nn::Module>())
                  ->register_module("expand", pointwise(in, out));
  pre_norm_ = register_module("pre_norm", std::make_shared<LayerNorm>(in, norm_eps));
  conv1_ = register_module("conv1_1x1", pointwise(in, middle));
  const Conv2d::Options each{.stride = stride, .padding = 1, .groups = middle, .bias = true};
  conv2_ = register_module("conv2_kxk", std::make_shared<Conv2d>(middle, middle, 3, each, initializer));
  conv3_ = register_module("conv3_1x1", pointwise(middle, out));
}

Tensor VitaminBlock::shortcut(const Tensor& x) const {
  const auto pooled = stride_ == 1 ? x : at::avg_pool2d(x, 3, 2, 1, /*ceil_mode=*/false, /*count_include_pad=*/false);
  return expand_ ? at_each_place(*expand_, pooled) : pooled;
}

Tensor VitaminBlock::forward(const Tensor& x) const {
  const auto middle = at::gelu(at_each_place(*conv1_, normed_channels(*pre_norm_, x)));
  return at_each_place(*conv3_, at::gelu(conv2_->forward(middle))) + shortcut(x);
}

VitaminFront::VitaminFront(const VitConfig& config, Initializer& initializer) {
  const auto& widths = config.front_widths;
  const auto conv = [&](std::int64_t in, std::int64_t out, std::int64_t stride) {
    const Conv2d::Options options{.stride = stride, .padding = 1, .bias = true};
    return std::make_shared<Conv2d>(in, out, 3, options, initializer);
  };
  const auto stem = register_module("stem", std::make_shared<torch::nn::Module>());
  conv1_ = stem->register_module("conv1", conv(3, widths[0], 2));
  norm1_ = stem->register_module("norm1", std::make_shared<LayerNorm>(widths[0], config.norm_eps));
  conv2_ = stem->register_module("conv2", conv(widths[0], widths[0], 1));
  const auto stages = register_module("stages", std::make_shared<torch::nn::Module>());
  auto in = widths[0];
  for (std::size_t stage = 0; stage < config.front_layers.size(); ++stage) {
    const auto place = stages->register_module(std::to_string(stage), std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < config.front_layers[stage]; ++i) {
      const auto out = widths[stage + 1];
      blocks_.push_back(place->register_module(
          std::to_string(i), std::make_shared<VitaminBlock>(in, out, i == 0 ? 2 : 1, config.norm_eps, initializer)));
      in = out;
    }
  }
  const auto pool = register_module("pool", std::make_shared<torch::nn::Module>());
  norm_ = pool->register_module("norm", std::make_shared<LayerNorm>(in, config.norm_eps));
  proj_ = pool->register_module("proj", conv(in, config.width, 2));
}

Tensor VitaminFront::forward(const Tensor& pixels) {
  const auto wide = convolution_dtype(pixels.scalar_type(), pixels);
  auto x = conv1_->forward(pixels.to(wide).contiguous(at::MemoryFormat::ChannelsLast));
  x = conv2_->forward(at::gelu(normed_channels(*norm1_, x)));
  for (const auto& block : blocks_)
    x = checkpoints
            ? checkpointed([=](const Inputs& in) { return block->forward(in.front()); }, {x}, block->parameters())
            : block->forward(x);
  return proj_->forward(normed_channels(*norm_, x)).to(pixels.scalar_type());
}

}  // namespace vlalign::nn
