#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// What CyCLIP adds to InfoNCE: two pairs look as similar within the images as within the texts, and the similarity of
/// an image to another pair's text is that of the other image to its text.
///
///     L = in_modal / B sum_jk (x_j . x_k - y_j . y_k)^2 + cross_modal / B sum_jk (x_j . y_k - x_k . y_j)^2
///
/// of cosines, whatever the logit scale: sums over all B^2 pairs divided by B, as the paper's equations and its code
/// have it. Zero where images equal texts. Runs over blocks of rows. Throws Error unless image and text are both [B, D]
/// of unit rows. Goel et al. 2022, CyCLIP.
class VLALIGN_EXPORT CyclicConsistency : public ContrastiveLoss {
 public:
  struct Options {
    double in_modal = 0.25;     ///< weight, >= 0; 0.25 in the paper, beside InfoNCE with 1
    double cross_modal = 0.25;  ///< weight, >= 0; 0.25 in the paper
  };

  CyclicConsistency() = default;
  explicit CyclicConsistency(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "cyclip"; }
  std::string options() const override;

 private:
  Options options_;
};

}  // namespace vlalign
