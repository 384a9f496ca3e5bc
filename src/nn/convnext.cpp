#include "vlalign/nn/convnext.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <string>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/activation_checkpoint.hpp"
#include "nn/channels.hpp"
#include "nn/check_inputs.hpp"
#include "nn/drop_path.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {
namespace {

std::int64_t sum_of(const std::vector<std::int64_t>& layers) {
  return std::accumulate(layers.begin(), layers.end(), std::int64_t{0});
}

/// Takes "<prefix><number>." off; none where the text doesn't begin so.
std::optional<std::size_t> take_number_behind(std::string_view prefix, std::string_view& text) {
  if (!text.starts_with(prefix)) return {};
  std::size_t number = 0;
  const auto begin = text.data() + prefix.size();
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '.') return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return number;
}

}  // namespace

std::optional<std::int64_t> staged_block(std::string_view name, const std::vector<std::int64_t>& layers) {
  const auto stage = take_number_behind("stages.", name);
  if (!stage || *stage >= layers.size()) return {};
  const auto before = std::accumulate(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(*stage), 0L);
  return before + static_cast<std::int64_t>(take_number_behind("blocks.", name).value_or(0));
}

ConvNextBlock::ConvNextBlock(const ConvNextConfig& config, std::int64_t width, std::int64_t number,
                             Initializer& initializer)
    : drop_path_(path_probability(config.drop_path, number, sum_of(config.layers))) {
  const Conv2d::Options each{.padding = 3, .groups = width, .bias = true};
  conv_dw = register_module("conv_dw", std::make_shared<Conv2d>(width, width, 7, each, initializer));
  norm = register_module("norm", std::make_shared<LayerNorm>(width, config.norm_eps));
  mlp = register_module("mlp", std::make_shared<Mlp>(TransformerOptions{.width = width}, initializer));
  if (config.layer_scale) gamma = register_parameter("gamma", at::full({width}, *config.layer_scale));
}

Tensor ConvNextBlock::forward(const Tensor& x, const Tensor& paths) const {
  auto branch = channels_in_front(mlp->forward(norm->forward(channels_behind(conv_dw->forward(x)))));
  if (gamma.defined()) branch = branch * over_channels(gamma, branch);
  return x + along(paths, branch);
}

ConvNext::ConvNext(const ConvNextConfig& config, Initializer& initializer) : config_(config) {
  validate(config, std::numeric_limits<std::int64_t>::max(), "[ConvNext]");
  const auto stem = register_module("stem", std::make_shared<torch::nn::Module>());
  const Conv2d::Options patches{.stride = 4, .bias = true};
  stem_conv_ = stem->register_module("0", std::make_shared<Conv2d>(3, config.widths.front(), 4, patches, initializer));
  stem_norm_ = stem->register_module("1", std::make_shared<LayerNorm>(config.widths.front(), config.norm_eps));
  const auto stages = register_module("stages", std::make_shared<torch::nn::Module>());
  for (std::size_t i = 0; i < config.layers.size(); ++i) make_stage(i, *stages, initializer);
  norm_ = register_module("norm", std::make_shared<LayerNorm>(width(), config.norm_eps));
}

void ConvNext::make_stage(std::size_t number, torch::nn::Module& stages, Initializer& initializer) {
  const auto place = stages.register_module(std::to_string(number), std::make_shared<torch::nn::Module>());
  const auto width = config_.widths[number];
  Stage stage;
  if (number > 0) {
    const auto in = config_.widths[number - 1];
    const auto downsample = place->register_module("downsample", std::make_shared<torch::nn::Module>());
    const Conv2d::Options halving{.stride = 2, .bias = true};
    stage.norm = downsample->register_module("0", std::make_shared<LayerNorm>(in, config_.norm_eps));
    stage.conv = downsample->register_module("1", std::make_shared<Conv2d>(in, width, 2, halving, initializer));
  }
  const auto blocks = place->register_module("blocks", std::make_shared<torch::nn::Module>());
  const auto before = std::accumulate(config_.layers.begin(),
                                      config_.layers.begin() + static_cast<std::ptrdiff_t>(number), std::int64_t{0});
  for (std::int64_t i = 0; i < config_.layers[number]; ++i)
    stage.blocks.push_back(blocks->register_module(
        std::to_string(i), std::make_shared<ConvNextBlock>(config_, width, before + i, initializer)));
  stages_.push_back(std::move(stage));
}

at::Tensor ConvNext::forward(const at::Tensor& pixels, at::ScalarType compute) {
  return features(pixels, compute, {}).pooled;
}

Features ConvNext::features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

Tensor ConvNext::run(const std::shared_ptr<ConvNextBlock>& block, const Tensor& x) const {
  const auto paths = drawn_paths(x, block->drop_path(), is_training());
  if (!checkpoints) return block->forward(x, paths);
  return checkpointed([=](const Inputs& in) { return block->forward(in.front(), paths); }, {x}, block->parameters());
}

Tensor ConvNext::run(const Stage& stage, Tensor x) const {
  if (stage.conv) x = stage.conv->forward(normed_channels(*stage.norm, x));
  for (const auto& block : stage.blocks) x = run(block, x);
  return x;
}

Features ConvNext::hooked_features(const at::Tensor& pixels, at::ScalarType compute,
                                   std::span<const std::int64_t> layers, const LayerHook& hook) {
  const auto wanted = resolve_layers(layers, std::ssize(stages_));
  check_pixels(pixels, "ConvNext");
  check(std::min(pixels.size(2), pixels.size(3)) >= 32, "[ConvNext] pixels: expected 32 a side or more, got {}x{}",
        pixels.size(2), pixels.size(3));
  auto x = pixels.to(convolution_dtype(compute, pixels)).contiguous(at::MemoryFormat::ChannelsLast);
  x = normed_channels(*stem_norm_, stem_conv_->forward(x));
  std::vector<at::Tensor> outputs;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    x = run(stages_[i], x);
    if (hook) x = hook(static_cast<std::int64_t>(i), x);
    outputs.push_back(x);
  }
  Features features;
  features.map = x;
  features.pooled = norm_->forward(x.mean({2, 3}));
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t ConvNext::group_count() const { return sum_of(config_.layers) + 1; }

std::int64_t ConvNext::group_of(std::string_view name) const {
  if (name.starts_with("stem")) return 0;
  return 1 + staged_block(name, config_.layers).value_or(sum_of(config_.layers) - 1);
}

}  // namespace vlalign::nn
