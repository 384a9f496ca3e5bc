#pragma once

#include <memory>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// Convolutions in place of a ViT's patch embedding.
class VLALIGN_EXPORT VitFront : public torch::nn::Module {
 public:
  /// pixels: [B, 3, S, S] in the dtype to compute in; returns [B, W, S / 16, S / 16].
  virtual Tensor forward(const Tensor& pixels) = 0;
};

/// The one that a config asks for; null for patches.
VLALIGN_EXPORT std::shared_ptr<VitFront> make_vit_front(const VitConfig& config, Initializer& initializer);

}  // namespace vlalign::nn
