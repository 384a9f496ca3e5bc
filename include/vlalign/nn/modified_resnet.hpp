#pragma once

#include <array>
#include <vector>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

class ConvThenNorm;

/// 1x1, 3x3, 1x1 convolutions with four times the channels out; a stride is an average pool, never a strided
/// convolution.
class VLALIGN_EXPORT Bottleneck : public torch::nn::Module {
 public:
  static constexpr std::int64_t expansion = 4;
  Bottleneck(std::int64_t in, std::int64_t planes, std::int64_t stride, Initializer& initializer);
  /// x: [B, in, H, W]; inference writes over it where the caller has moved it here.
  at::Tensor forward(at::Tensor x);

  std::shared_ptr<Conv2d> conv1, conv2, conv3, downsample_conv;
  std::shared_ptr<BatchNorm2d> bn1, bn2, bn3, downsample_bn;

 private:
  std::vector<std::shared_ptr<ConvThenNorm>> convs_;  // of the above
  std::shared_ptr<ConvThenNorm> downsample_;          // null without
  std::int64_t stride_;
};

/// Attention of the mean token over the map's tokens. The peers' output projection c_proj is the DualEncoder's image
/// projection here.
class VLALIGN_EXPORT AttentionPool2d : public torch::nn::Module {
 public:
  AttentionPool2d(std::int64_t side, std::int64_t width, std::int64_t heads, Initializer& initializer);
  /// x: [B, W, side, side]; returns [B, W].
  ///   resize: positions to a map of another side, which is an Error without
  at::Tensor forward(const at::Tensor& x, bool resize = false) const;
  /// What each place of the map is worth to the pool, whatever it attends to: [B, side^2, W] (Zhou et al. 2022,
  /// MaskCLIP: through the projection these are dense features in the joint space).
  at::Tensor values(const at::Tensor& x, bool resize = false) const;

  at::Tensor positional_embedding;  ///< [side^2 + 1, W]
  std::shared_ptr<Linear> q_proj, k_proj, v_proj;

 private:
  /// [N + 1, W] of a map's N places, in its dtype.
  at::Tensor positions(const at::Tensor& x, bool resize) const;

  std::int64_t heads_;
};

/// CLIP's ModifiedResNet (Radford et al. 2021; openai/CLIP, model.py). image_size must be a multiple of 32.
class VLALIGN_EXPORT ModifiedResNet : public Tower {
 public:
  ModifiedResNet(const ModifiedResNetConfig& config, std::int64_t image_size, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override;
  std::int64_t width() const override { return width_; }
  std::int64_t group_count() const override { return 5; }
  std::int64_t group_of(std::string_view name) const override;

  std::shared_ptr<Conv2d> conv1, conv2, conv3;
  std::shared_ptr<BatchNorm2d> bn1, bn2, bn3;
  std::vector<std::vector<std::shared_ptr<Bottleneck>>> stages;  ///< registered as layer1.0, layer1.1, ..., layer4.N
  std::shared_ptr<AttentionPool2d> attnpool;

 private:
  std::vector<std::shared_ptr<ConvThenNorm>> stem_;  // of the above
  std::array<at::Tensor, 4> stage_outputs(const at::Tensor& pixels, at::ScalarType compute, const LayerHook& hook);

  std::int64_t width_;
};

}  // namespace vlalign::nn
