#include "vlalign/nn/efficientnet.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/check_inputs.hpp"
#include "nn/conv_then_norm.hpp"

namespace vlalign::nn {
namespace {

/// Zeros around a map for a convolution with stride 2.
at::Tensor padded(const at::Tensor& x, std::int64_t kernel, bool asymmetric) {
  const auto after = kernel / 2, before = asymmetric ? after - 1 : after;
  return at::constant_pad_nd(x, {before, after, before, after});
}

}  // namespace

MbConv::MbConv(const Options& options, Initializer& initializer) : options_(options) {
  const auto part = [this](const char* name) { return register_module(name, std::make_shared<torch::nn::Module>()); };
  const auto norm = [&](std::int64_t channels, double momentum) {
    return std::make_shared<BatchNorm2d>(channels, options.norm_eps, momentum);
  };
  const auto pointwise = [&](std::int64_t in, std::int64_t out, bool bias) {
    return std::make_shared<Conv2d>(in, out, 1, Conv2d::Options{.bias = bias}, initializer);
  };
  const auto inner = options.in * options.expand_ratio;
  if (options.expand_ratio != 1) {
    const auto expansion = part("expansion");
    const auto conv = expansion->register_module("expand_conv", pointwise(options.in, inner, false));
    expand_ =
        pair_of(conv, expansion->register_module("expand_bn", norm(inner, 0.1)));  // torch's momentum, as the peer
  }
  const auto depthwise = part("depthwise_conv");
  const Conv2d::Options each{
      .stride = options.stride, .padding = options.stride == 1 ? options.kernel / 2 : 0, .groups = inner};
  const auto conv = depthwise->register_module(
      "depthwise_conv", std::make_shared<Conv2d>(inner, inner, options.kernel, each, initializer));
  depthwise_ = pair_of(conv, depthwise->register_module("depthwise_norm", norm(inner, options.norm_momentum)));
  const auto squeeze = part("squeeze_excite");
  const auto squeezed =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(options.in) * options.squeeze_ratio));
  reduce_ = squeeze->register_module("reduce", pointwise(inner, squeezed, true));
  excite_ = squeeze->register_module("expand", pointwise(squeezed, inner, true));
  const auto projection = part("projection");
  const auto last = projection->register_module("project_conv", pointwise(inner, options.out, false));
  project_ = pair_of(last, projection->register_module("project_bn", norm(options.out, options.norm_momentum)));
}

at::Tensor MbConv::squeeze_and_excite(const at::Tensor& x) const {
  const auto mean = x.mean({2, 3}, /*keepdim=*/true);
  return x * at::sigmoid(excite_->forward(at::silu(reduce_->forward(mean))));
}

at::Tensor MbConv::forward(at::Tensor x) {
  auto y = expand_ ? expand_->forward(x, ThenApply::silu) : x;
  if (options_.stride == 2) y = padded(y, options_.kernel, options_.asymmetric);
  y = squeeze_and_excite(depthwise_->forward(y, ThenApply::silu));
  return project_->forward(y, ThenApply::nothing, options_.residual && options_.stride == 1 ? std::move(x) : Tensor());
}

EfficientNet::EfficientNet(const EfficientNetConfig& config, Initializer& initializer) {
  validate(config, std::numeric_limits<std::int64_t>::max(), "[EfficientNet]");
  smallest_ = smallest_image(config);
  const auto stages = config.in_channels.size();
  const auto embeddings = register_module("embeddings", std::make_shared<torch::nn::Module>());
  const auto width = scaled_channels(config, 32);
  const auto conv = embeddings->register_module(
      "convolution", std::make_shared<Conv2d>(3, width, 3, Conv2d::Options{.stride = 2}, initializer));
  stem_ = pair_of(conv, embeddings->register_module(
                            "batchnorm", std::make_shared<BatchNorm2d>(width, config.norm_eps, config.norm_momentum)));
  const auto list = register_module("encoder", std::make_shared<torch::nn::Module>())
                        ->register_module("blocks", std::make_shared<torch::nn::Module>());
  for (std::size_t stage = 0; stage < stages; ++stage) {
    const auto repeats = scaled_repeats(config, config.num_block_repeats[stage]);
    for (std::int64_t i = 0; i < repeats; ++i) {
      const auto number = static_cast<std::int64_t>(blocks_.size());
      const auto& even = config.depthwise_padding;
      const auto out = scaled_channels(config, config.out_channels[stage]);
      const MbConv::Options options{.in = i == 0 ? scaled_channels(config, config.in_channels[stage]) : out,
                                    .out = out,
                                    .kernel = config.kernel_sizes[stage],
                                    .stride = i == 0 ? config.strides[stage] : 1,
                                    .expand_ratio = config.expand_ratios[stage],
                                    .squeeze_ratio = config.squeeze_expansion_ratio,
                                    .residual = i > 0,
                                    .asymmetric = std::find(even.begin(), even.end(), number) == even.end(),
                                    .norm_eps = config.norm_eps,
                                    .norm_momentum = config.norm_momentum};
      blocks_.push_back(list->register_module(std::to_string(number), std::make_shared<MbConv>(options, initializer)));
    }
  }
  width_ = scaled_channels(config, config.out_channels.back());
}

at::Tensor EfficientNet::forward(const at::Tensor& pixels, at::ScalarType compute) {
  return features(pixels, compute, {}).pooled;
}

Features EfficientNet::features(const at::Tensor& pixels, at::ScalarType compute,
                                std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

Features EfficientNet::hooked_features(const at::Tensor& pixels, at::ScalarType compute,
                                       std::span<const std::int64_t> layers, const LayerHook& hook) {
  const auto wanted = resolve_layers(layers, static_cast<std::int64_t>(blocks_.size()));
  check_pixels(pixels, "EfficientNet");
  check(std::min(pixels.size(2), pixels.size(3)) >= smallest_,
        "[EfficientNet] pixels: expected {} px a side or more, got {}x{}", smallest_, pixels.size(2), pixels.size(3));
  auto x = pixels.to(compute).contiguous(at::MemoryFormat::ChannelsLast);
  x = stem_->forward(at::constant_pad_nd(x, {0, 1, 0, 1}), ThenApply::silu);
  std::vector<at::Tensor> outputs;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i]->forward(std::move(x));
    if (hook) x = hook(static_cast<std::int64_t>(i), x);
    if (!wanted.empty()) outputs.push_back(x);
  }
  Features features;
  features.map = x;
  features.pooled = x.mean({2, 3});
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::vector<std::int64_t> EfficientNet::layer_widths() const {
  std::vector<std::int64_t> widths;
  for (const auto& block : blocks_) widths.push_back(block->width());
  return widths;
}

std::int64_t EfficientNet::group_count() const { return static_cast<std::int64_t>(blocks_.size()) + 1; }

std::int64_t EfficientNet::group_of(std::string_view name) const {
  constexpr std::string_view prefix = "encoder.blocks.";
  if (!name.starts_with(prefix)) return 0;
  std::int64_t number = 0;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  return number + 1;
}

}  // namespace vlalign::nn
