#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

class ConvThenNorm;

/// torchvision's block: two 3x3 convolutions, or 1x1, 3x3 (which strides), 1x1 with four times the channels out.
class VLALIGN_EXPORT ResidualConv : public torch::nn::Module {
 public:
  ResidualConv(std::int64_t in, std::int64_t planes, std::int64_t stride, bool bottleneck, Initializer& initializer);
  /// x: [B, in, H, W]; inference writes over it where the caller has moved it here.
  at::Tensor forward(at::Tensor x);

 private:
  std::vector<std::shared_ptr<ConvThenNorm>> convs_;  ///< registered as conv1 and bn1, conv2 and bn2(, conv3 and bn3)
  std::shared_ptr<ConvThenNorm> downsample_;          ///< null without
};

/// ResNet-18 to 152 (He et al. 2016) with torchvision's names, without its classifier; average pooling.
class VLALIGN_EXPORT ResNet : public Tower {
 public:
  ResNet(const ResNetConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override;
  std::int64_t width() const override { return width_; }
  std::int64_t group_count() const override { return 5; }
  std::int64_t group_of(std::string_view name) const override;

 private:
  at::Tensor stem(const at::Tensor& pixels, at::ScalarType compute);

  std::shared_ptr<ConvThenNorm> stem_;                              ///< registered as conv1 and bn1
  std::vector<std::vector<std::shared_ptr<ResidualConv>>> stages_;  ///< registered as layer1.0, ..., layer4.N
  std::int64_t width_;
};

}  // namespace vlalign::nn
