#include "vlalign/nn/fastvit.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "config/validate.hpp"
#include "core/check.hpp"
#include "nn/channels.hpp"
#include "nn/check_inputs.hpp"
#include "nn/drop_path.hpp"
#include "nn/fastvit_block.hpp"
#include "nn/held_statistics.hpp"
#include "vlalign/nn/convnext.hpp"

namespace vlalign::nn {
namespace {

using Branches = std::vector<ReparamConv::Branch>;

constexpr std::int64_t smallest_fastvit_image = 64;

/// The multiple of 8 closest to a quarter of the channels.
std::int64_t squeezed_quarter(std::int64_t channels) { return std::max<std::int64_t>(8, (channels / 4 + 4) / 8 * 8); }

}  // namespace

FastVit::FastVit(const FastVitConfig& config, Initializer& initializer) : config_(config) {
  validate(config, std::numeric_limits<std::int64_t>::max(), "[FastVit]");
  make_stem(initializer);
  const auto stages = register_module("stages", std::make_shared<torch::nn::Module>());
  for (std::size_t i = 0; i < config.layers.size(); ++i) make_stage(i, *stages, initializer);
  const auto last = config.widths.back();
  const ReparamConv::Options options{
      .branches = {{"conv_kxk", 3}, {"conv_scale", 1}},
      .squeezed = std::max<std::int64_t>(1, (2 * last + 8) / 16),
      .folded = config.folded,
  };
  const FoldableConv::Shape shape{.in = last, .out = 2 * last, .kernel = 3, .groups = last};
  final_conv_ = register_module("final_conv", std::make_shared<ReparamConv>(shape, options, initializer));
}

void FastVit::make_stem(Initializer& initializer) {
  const auto place = register_module("stem", std::make_shared<torch::nn::Module>());
  const auto width = config_.widths.front();
  const auto add = [&](const FoldableConv::Shape& shape, const Branches& branches, bool identity) {
    const ReparamConv::Options options{.branches = branches, .identity = identity, .folded = config_.folded};
    stem_.push_back(place->register_module(std::to_string(stem_.size()),
                                           std::make_shared<ReparamConv>(shape, options, initializer)));
  };
  Branches branches{{"conv_kxk", 3}};
  if (config_.stem_scale_branch) branches.push_back({"conv_scale", 1});
  add({.in = 3, .out = width, .kernel = 3, .stride = 2}, branches, false);
  add({.in = width, .out = width, .kernel = 3, .stride = 2, .groups = width}, branches, false);
  add({.in = width, .out = width, .kernel = 1}, {{"conv_kxk", 1}}, true);
}

std::vector<std::shared_ptr<ReparamConv>> FastVit::make_downsample(std::size_t number, torch::nn::Module& place,
                                                                   Initializer& initializer) const {
  const auto in = config_.widths[number - 1], out = config_.widths[number];
  const auto proj = place.register_module("downsample", std::make_shared<torch::nn::Module>())
                        ->register_module("proj", std::make_shared<torch::nn::Module>());
  ReparamConv::Options large{.branches = {{"large_conv", 7}, {"small_conv", 3}}, .folded = config_.folded};
  if (config_.squeeze_downsamples && number + 2 >= config_.layers.size()) large.squeezed = squeezed_quarter(out);
  const FoldableConv::Shape halving{.in = in, .out = out, .kernel = 7, .stride = 2, .groups = in};
  const FoldableConv::Shape each{.in = out, .out = out, .kernel = 1};
  const ReparamConv::Options pointwise{.branches = {{"conv_kxk", 1}}, .identity = true, .folded = config_.folded};
  return {proj->register_module("0", std::make_shared<ReparamConv>(halving, large, initializer)),
          proj->register_module("1", std::make_shared<ReparamConv>(each, pointwise, initializer))};
}

void FastVit::make_stage(std::size_t number, torch::nn::Module& stages, Initializer& initializer) {
  const auto place = stages.register_module(std::to_string(number), std::make_shared<torch::nn::Module>());
  const auto width = config_.widths[number];
  const bool attends = std::ssize(config_.layers) - static_cast<std::int64_t>(number) <= config_.attention_stages;
  Stage stage;
  if (number > 0) stage.downsample = make_downsample(number, *place, initializer);
  if (attends)
    stage.positions =
        place->register_module("pos_emb", std::make_shared<ConditionalPositions>(width, config_.folded, initializer));
  const auto blocks = place->register_module("blocks", std::make_shared<torch::nn::Module>());
  const auto before = std::accumulate(config_.layers.begin(),
                                      config_.layers.begin() + static_cast<std::ptrdiff_t>(number), std::int64_t{0});
  for (std::int64_t i = 0; i < config_.layers[number]; ++i) {
    std::shared_ptr<FastVitBlock> block;
    if (attends) {
      block = std::make_shared<FastVitAttentionBlock>(config_, width, before + i, initializer);
    } else {
      block = std::make_shared<RepMixerBlock>(config_, width, before + i, initializer);
    }
    stage.blocks.push_back(blocks->register_module(std::to_string(i), block));
  }
  stages_.push_back(std::move(stage));
}

at::Tensor FastVit::forward(const at::Tensor& pixels, at::ScalarType compute) {
  return features(pixels, compute, {}).pooled;
}

Features FastVit::features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) {
  return hooked_features(pixels, compute, layers, {});
}

Tensor FastVit::run(const std::shared_ptr<FastVitBlock>& block, const Tensor& x) {
  std::vector<Tensor> paths;
  for (std::size_t i = 0; i < block->path_count(); ++i)
    paths.push_back(drawn_paths(x, block->drop_path(), is_training()));
  if (!checkpoints) return block->forward(x, paths);
  return checkpointed_block(
      block, [=](const Tensor& in) { return block->forward(in, paths); }, x);
}

Tensor FastVit::run(const Stage& stage, Tensor x) {
  for (const auto& conv : stage.downsample) x = conv->forward(x);
  if (stage.positions) x = stage.positions->convolved(x);
  for (const auto& block : stage.blocks) x = run(block, x);
  return x;
}

Features FastVit::hooked_features(const at::Tensor& pixels, at::ScalarType compute,
                                  std::span<const std::int64_t> layers, const LayerHook& hook) {
  const auto wanted = resolve_layers(layers, std::ssize(stages_));
  check_pixels(pixels, "FastVit");
  check(std::min(pixels.size(2), pixels.size(3)) >= smallest_fastvit_image,
        "[FastVit] pixels: expected {} a side or more, got {}x{}", smallest_fastvit_image, pixels.size(2),
        pixels.size(3));
  auto x = pixels.to(convolution_dtype(compute, pixels)).contiguous(at::MemoryFormat::ChannelsLast);
  for (const auto& conv : stem_) x = conv->forward(x);
  std::vector<at::Tensor> outputs;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    x = run(stages_[i], x);
    if (hook) x = hook(static_cast<std::int64_t>(i), x);
    outputs.push_back(x);
  }
  Features features;
  features.map = final_conv_->forward(x);
  features.pooled = features.map.mean({2, 3});
  for (const auto layer : wanted) features.hidden.push_back(outputs[static_cast<std::size_t>(layer)]);
  return features;
}

std::int64_t FastVit::block_count() const {
  return std::accumulate(config_.layers.begin(), config_.layers.end(), std::int64_t{0});
}

std::int64_t FastVit::group_count() const { return block_count() + 2; }

std::int64_t FastVit::group_of(std::string_view name) const {
  if (name.starts_with("stem")) return 0;
  return 1 + staged_block(name, config_.layers).value_or(block_count());
}

}  // namespace vlalign::nn
