// What a second image tower sees of the frames. Internal.
#pragma once

#include <torch/nn/module.h>

#include "vlalign/model/image_tower.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::vla {

/// A frozen tower beside the encoder's, given the encoder's pixels.
class SecondView : public torch::nn::Module {
 public:
  /// layer: whose outputs it gives; encoder: how the encoder's pixels were prepared.
  SecondView(const ImageTower& tower, std::int64_t layer, const Preprocess& encoder);

  /// In evaluation mode always.
  void train(bool on = true) override;

  /// [B, N, W], without a graph. pixels: [B, 3, S, S], normalised for the encoder.
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) const;

 private:
  at::Tensor as_tower_prepares(const at::Tensor& pixels) const;

  std::shared_ptr<nn::Tower> tower_;
  std::int64_t layer_, side_;
  Interpolation interpolation_;
  at::Tensor scale_, shift_;  // buffers [3, 1, 1], from the encoder's normalised numbers to the tower's
};

}  // namespace vlalign::vla
