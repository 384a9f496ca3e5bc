#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Alignment and uniformity on the sphere, as a loss of its own:
///
///     L = 1/B sum_i ||x_i - y_i||^2 + weight * (U(x) + U(y)) / 2
///     U(x) = log mean_{i < j} e^{-t ||x_i - x_j||^2}
///
/// of images x and texts y, with ||x - y||^2 = 2 - 2 cos. It may be negative. The logit scale isn't used. Runs over
/// tiles. Throws Error unless image and text are both [B, D] of unit rows and B >= 2. Wang and Isola 2020, section 4,
/// with alpha = 2.
class VLALIGN_EXPORT AlignmentUniformity : public ContrastiveLoss {
 public:
  struct Options {
    double weight = 1.0;  ///< of the uniformities, > 0
    double t = 2.0;       ///< sharpness of the Gaussian, > 0; 2 in the paper
  };

  AlignmentUniformity() = default;
  explicit AlignmentUniformity(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "align_uniform"; }
  std::string options() const override;

 private:
  Options options_;
};

}  // namespace vlalign
