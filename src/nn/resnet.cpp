#include "vlalign/nn/resnet.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "nn/conv_then_norm.hpp"

namespace vlalign::nn {

ResidualConv::ResidualConv(std::int64_t in, std::int64_t planes, std::int64_t stride, bool bottleneck,
                           Initializer& initializer) {
  const auto add = [&](std::int64_t from, std::int64_t to, std::int64_t kernel, std::int64_t step) {
    const auto number = std::to_string(convs_.size() + 1);
    const Conv2d::Options options{.stride = step, .padding = kernel / 2};
    const auto conv =
        register_module("conv" + number, std::make_shared<Conv2d>(from, to, kernel, options, initializer));
    convs_.push_back(pair_of(conv, register_module("bn" + number, std::make_shared<BatchNorm2d>(to))));
  };
  const auto out = bottleneck ? 4 * planes : planes;
  if (bottleneck) {
    add(in, planes, 1, 1);
    add(planes, planes, 3, stride);
    add(planes, out, 1, 1);
  } else {
    add(in, planes, 3, stride);
    add(planes, planes, 3, 1);
  }
  if (stride == 1 && in == out) return;
  const auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
  const Conv2d::Options options{.stride = stride};
  const auto conv = downsample->register_module("0", std::make_shared<Conv2d>(in, out, 1, options, initializer));
  downsample_ = pair_of(conv, downsample->register_module("1", std::make_shared<BatchNorm2d>(out)));
}

at::Tensor ResidualConv::forward(at::Tensor x) {
  auto y = x;
  for (std::size_t i = 0; i + 1 < convs_.size(); ++i) y = convs_[i]->forward(y, ThenApply::relu);
  auto identity = downsample_ ? downsample_->forward(x) : std::move(x);
  return convs_.back()->forward(y, ThenApply::relu, std::move(identity));
}

ResNet::ResNet(const ResNetConfig& config, Initializer& initializer) {
  validate(config, "[ResNet]");
  const Conv2d::Options stem{.stride = 2, .padding = 3};
  const auto conv = register_module("conv1", std::make_shared<Conv2d>(3, config.width, 7, stem, initializer));
  stem_ = pair_of(conv, register_module("bn1", std::make_shared<BatchNorm2d>(config.width)));
  auto in = config.width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const auto layer = register_module(fmt::format("layer{}", stage + 1), std::make_shared<torch::nn::Module>());
    const auto planes = config.width << stage;
    stages_.emplace_back();
    for (std::int64_t i = 0; i < config.layers[stage]; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      const auto block = std::make_shared<ResidualConv>(in, planes, stride, config.bottleneck, initializer);
      stages_.back().push_back(layer->register_module(std::to_string(i), block));
      in = config.bottleneck ? 4 * planes : planes;
    }
  }
  width_ = in;
}

at::Tensor ResNet::stem(const at::Tensor& pixels, at::ScalarType compute) {
  check_pixels(pixels, "ResNet");
  const auto x = pixels.to(compute).contiguous(at::MemoryFormat::ChannelsLast);
  return at::max_pool2d(stem_->forward(x, ThenApply::relu), 3, 2, 1);
}

at::Tensor ResNet::forward(const at::Tensor& pixels, at::ScalarType compute) {
  return features(pixels, compute, {}).pooled;
}

Features ResNet::features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

std::vector<std::int64_t> ResNet::layer_widths() const { return {width_ / 8, width_ / 4, width_ / 2, width_}; }

Features ResNet::hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                                 const LayerHook& hook) {
  const auto wanted = resolve_layers(layers, 4);
  std::array<at::Tensor, 4> outputs;
  auto x = stem(pixels, compute);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const auto& block : stages_[i]) x = block->forward(std::move(x));
    if (hook) x = hook(static_cast<std::int64_t>(i), x);
    outputs[i] = x;
  }
  Features features;
  features.map = x;
  features.pooled = x.mean({2, 3});
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t ResNet::group_of(std::string_view name) const { return name.starts_with("layer") ? name[5] - '0' : 0; }

}  // namespace vlalign::nn
