#include "vlalign/nn/modified_resnet.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "nn/conv_then_norm.hpp"
#include "nn/grid_positions.hpp"

namespace vlalign::nn {
namespace {

constexpr Conv2d::Options pointwise{}, same{.padding = 1};

at::Tensor pool(const at::Tensor& x, std::int64_t stride) { return stride > 1 ? at::avg_pool2d(x, stride) : x; }

}  // namespace

Bottleneck::Bottleneck(std::int64_t in, std::int64_t planes, std::int64_t stride, Initializer& initializer)
    : stride_(stride) {
  const auto out = planes * expansion;
  conv1 = register_module("conv1", std::make_shared<Conv2d>(in, planes, 1, pointwise, initializer));
  bn1 = register_module("bn1", std::make_shared<BatchNorm2d>(planes));
  conv2 = register_module("conv2", std::make_shared<Conv2d>(planes, planes, 3, same, initializer));
  bn2 = register_module("bn2", std::make_shared<BatchNorm2d>(planes));
  conv3 = register_module("conv3", std::make_shared<Conv2d>(planes, out, 1, pointwise, initializer));
  bn3 = register_module("bn3", std::make_shared<BatchNorm2d>(out));
  {
    torch::NoGradGuard no_grad;
    bn3->weight.zero_();  // a block starts as the identity
  }
  convs_ = {pair_of(conv1, bn1), pair_of(conv2, bn2), pair_of(conv3, bn3)};
  if (stride == 1 && in == out) return;
  const auto downsample = register_module("downsample", std::make_shared<torch::nn::Module>());
  downsample_conv = downsample->register_module("0", std::make_shared<Conv2d>(in, out, 1, pointwise, initializer));
  downsample_bn = downsample->register_module("1", std::make_shared<BatchNorm2d>(out));
  downsample_ = pair_of(downsample_conv, downsample_bn);
}

at::Tensor Bottleneck::forward(at::Tensor x) {
  const auto y = convs_[1]->forward(convs_[0]->forward(x, ThenApply::relu), ThenApply::relu);
  auto identity = downsample_ ? downsample_->forward(pool(x, stride_)) : std::move(x);
  return convs_[2]->forward(pool(y, stride_), ThenApply::relu, std::move(identity));
}

AttentionPool2d::AttentionPool2d(std::int64_t side, std::int64_t width, std::int64_t heads, Initializer& initializer)
    : heads_(heads) {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(width));
  const auto projection = [&] {
    return std::make_shared<Linear>(width, width, Linear::Options{.standard_deviation = deviation}, initializer);
  };
  positional_embedding =
      register_parameter("positional_embedding", initializer.normal({side * side + 1, width}, deviation));
  q_proj = register_module("q_proj", projection());
  k_proj = register_module("k_proj", projection());
  v_proj = register_module("v_proj", projection());
}

at::Tensor AttentionPool2d::positions(const at::Tensor& x, bool resize) const {
  const auto places = x.size(2) * x.size(3), own = positional_embedding.size(0) - 1;
  const bool fits = places == own || (resize && x.size(2) == x.size(3));
  check(fits, "[AttentionPool2d] expected a map of {} places, got {}", own, places);
  const auto table = places == own ? positional_embedding : resize_grid(positional_embedding, x.size(2), 1);
  return table.to(x.scalar_type());
}

at::Tensor AttentionPool2d::values(const at::Tensor& x, bool resize) const {
  return v_proj->forward(x.flatten(2).transpose(1, 2) + positions(x, resize).slice(0, 1));
}

at::Tensor AttentionPool2d::forward(const at::Tensor& x, bool resize) const {
  const auto map = x.flatten(2).transpose(1, 2);  // [B, N, W]
  const auto tokens = at::cat({map.mean(1, /*keepdim=*/true), map}, 1) + positions(x, resize);
  const auto split = [this](const at::Tensor& t) {
    return t.unflatten(-1, {heads_, t.size(-1) / heads_}).transpose(1, 2);
  };
  const auto q = split(q_proj->forward(tokens.narrow(1, 0, 1)));
  const auto k = split(k_proj->forward(tokens));
  const auto v = split(v_proj->forward(tokens));
  return attention(q, k, v, {}).transpose(1, 2).flatten(1);
}

ModifiedResNet::ModifiedResNet(const ModifiedResNetConfig& config, std::int64_t image_size, Initializer& initializer)
    : width_(config.width * 32) {
  validate(config, image_size, "[ModifiedResNet]");
  const auto half = config.width / 2;
  conv1 = register_module(
      "conv1", std::make_shared<Conv2d>(3, half, 3, Conv2d::Options{.stride = 2, .padding = 1}, initializer));
  bn1 = register_module("bn1", std::make_shared<BatchNorm2d>(half));
  conv2 = register_module("conv2", std::make_shared<Conv2d>(half, half, 3, same, initializer));
  bn2 = register_module("bn2", std::make_shared<BatchNorm2d>(half));
  conv3 = register_module("conv3", std::make_shared<Conv2d>(half, config.width, 3, same, initializer));
  bn3 = register_module("bn3", std::make_shared<BatchNorm2d>(config.width));
  stem_ = {pair_of(conv1, bn1), pair_of(conv2, bn2), pair_of(conv3, bn3)};
  auto in = config.width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const auto layer = register_module(fmt::format("layer{}", stage + 1), std::make_shared<torch::nn::Module>());
    const auto planes = config.width << stage;
    stages.emplace_back();
    for (std::int64_t i = 0; i < config.layers[stage]; ++i) {
      const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      stages.back().push_back(
          layer->register_module(std::to_string(i), std::make_shared<Bottleneck>(in, planes, stride, initializer)));
      in = planes * Bottleneck::expansion;
    }
  }
  attnpool = register_module(
      "attnpool", std::make_shared<AttentionPool2d>(image_size / 32, width_, width_ / config.head_width, initializer));
}

std::array<at::Tensor, 4> ModifiedResNet::stage_outputs(const at::Tensor& pixels, at::ScalarType compute,
                                                        const LayerHook& hook) {
  check_pixels(pixels, "ModifiedResNet");
  const auto places = static_cast<double>(attnpool->positional_embedding.size(0) - 1);
  const std::int64_t side = input.image_size.value_or(32 * std::llround(std::sqrt(places)));
  check(pixels.size(2) == side && pixels.size(3) == side, "[ModifiedResNet] pixels: expected {}x{}, got {}x{}", side,
        side, pixels.size(2), pixels.size(3));
  auto x = pixels.to(compute).contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& conv : stem_) x = conv->forward(x, ThenApply::relu);
  x = pool(x, 2);
  std::array<at::Tensor, 4> outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    for (const auto& block : stages[i]) x = block->forward(std::move(x));
    if (hook) x = hook(static_cast<std::int64_t>(i), x);
    outputs[i] = x;
  }
  return outputs;
}

at::Tensor ModifiedResNet::forward(const at::Tensor& pixels, at::ScalarType compute) {
  return attnpool->forward(stage_outputs(pixels, compute, {}).back(), input.image_size.has_value());
}

Features ModifiedResNet::features(const at::Tensor& pixels, at::ScalarType compute,
                                  std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

std::vector<std::int64_t> ModifiedResNet::layer_widths() const { return {width_ / 8, width_ / 4, width_ / 2, width_}; }

Features ModifiedResNet::hooked_features(const at::Tensor& pixels, at::ScalarType compute,
                                         std::span<const std::int64_t> layers, const LayerHook& hook) {
  const auto wanted = resolve_layers(layers, static_cast<std::int64_t>(stages.size()));
  const auto outputs = stage_outputs(pixels, compute, hook);
  Features features;
  features.map = outputs.back();
  features.pooled = attnpool->forward(features.map, input.image_size.has_value());
  features.tokens = attnpool->values(features.map, input.image_size.has_value());
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t ModifiedResNet::group_of(std::string_view name) const {
  if (name.starts_with("attnpool")) return 4;
  return name.starts_with("layer") ? name[5] - '0' : 0;
}

}  // namespace vlalign::nn
