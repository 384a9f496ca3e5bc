// The convolutional stages in front of ViTamin's blocks (Chen et al. 2024). Internal.
#pragma once

#include <vector>

#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/vit_front.hpp"

namespace vlalign::nn {

/// Inverted residual block: shortcut(x) + conv3_1x1(gelu(conv2_kxk(gelu(conv1_1x1(pre_norm(x)))))), the middle one
/// depthwise 3x3 on four times the channels. One that halves the map has a shortcut of average pooling, then a 1x1
/// convolution where the channels change.
class VitaminBlock : public torch::nn::Module {
 public:
  VitaminBlock(std::int64_t in, std::int64_t out, std::int64_t stride, double norm_eps, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

 private:
  Tensor shortcut(const Tensor& x) const;

  std::int64_t stride_;
  std::shared_ptr<Norm> pre_norm_;
  std::shared_ptr<Linear> expand_, conv1_, conv3_;  // 1x1
  std::shared_ptr<Conv2d> conv2_;
};

/// Two 3x3 convolutions with a norm and GELU between them, the first halving; stages of blocks, each halving; a norm
/// and a last convolution, halving again, to the width.
class VitaminFront : public VitFront, public Checkpointing {
 public:
  VitaminFront(const VitConfig& config, Initializer& initializer);
  Tensor forward(const Tensor& pixels) override;

 private:
  std::shared_ptr<Conv2d> conv1_, conv2_, proj_;
  std::shared_ptr<Norm> norm1_, norm_;
  std::vector<std::shared_ptr<VitaminBlock>> blocks_;  // registered as stages.0.0, ...
};

}  // namespace vlalign::nn
