#pragma once

#include "vlalign/model/config.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {

/// CLIP's Vision Transformer: patches, class token, positions, ln_pre, blocks, ln_post of the class token
/// (Radford et al. 2021; openai/CLIP, model.py). image_size must be a multiple of the patch size.
class Vit : public Tower {
 public:
  Vit(const VitConfig& config, std::int64_t image_size, bool quick_gelu, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  std::int64_t width() const override { return width_; }

  std::shared_ptr<Conv2d> conv1;
  at::Tensor class_embedding;       ///< [W]
  at::Tensor positional_embedding;  ///< [1 + (S/P)^2, W]
  std::shared_ptr<LayerNorm> ln_pre, ln_post;
  std::shared_ptr<Transformer> transformer;

 private:
  std::int64_t width_;
};

}  // namespace vlalign::nn
