#pragma once

#include <span>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// Feature-wise linear modulation (Perez et al. 2018): (1 + gamma) x + beta, with gamma and beta a linear layer's of a
/// condition. The layer is zero at first, so that x passes through (RT-1, Brohan et al. 2022).
class VLALIGN_EXPORT FilmLayer : public torch::nn::Module {
 public:
  FilmLayer(std::int64_t condition_width, std::int64_t channels, nn::Initializer& initializer);
  /// x: tokens [B, N, C] or a map [B, C, H, W]; condition: [B, E]. Returns x's shape and dtype.
  Tensor forward(const Tensor& x, const Tensor& condition) const;

  std::shared_ptr<nn::Linear> dense;  ///< weight [2C, E]: gamma's rows, then beta's
};

/// FiLM behind chosen layers of an image tower, which starts with the tower's own output, bit for bit:
///
///     Film film(*encoder.visual, std::vector<std::int64_t>{-2, -1}, embed_dim, initializer);
///     auto features = encoder.image_features(pixels, {}, at::kFloat, film.hook(instruction));
class VLALIGN_EXPORT Film : public torch::nn::Module {
 public:
  /// layers: as Tower::features counts them. Throws Error for one that isn't there or is named twice.
  Film(const nn::Tower& tower, std::span<const std::int64_t> layers, std::int64_t condition_width,
       nn::Initializer& initializer);
  /// What goes on in the place of a layer's output. condition: [B, E], of the same B as the pixels.
  Tensor forward(std::int64_t layer, const Tensor& output, const Tensor& condition) const;
  /// The same as a hook, which is good as long as this module lives.
  nn::LayerHook hook(const Tensor& condition) const;

  std::vector<std::shared_ptr<FilmLayer>> layers;  ///< one for each of the tower's, registered by number; null without
};

}  // namespace vlalign::vla
