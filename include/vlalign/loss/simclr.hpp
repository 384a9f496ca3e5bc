#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// SimCLR's NT-Xent on two augmentations of the images. With z the 2B rows of image and second_image, p(i) the other
/// view of row i and tau the temperature,
///
///     L = 1/(2B) sum_i [ -z_i . z_p(i) / tau + logsumexp_{k != i} z_i . z_k / tau ]
///
/// Needs second_image; text and the logit scale aren't used. SLIP (Mu et al. 2022) is InfoNCE + 1 * this. Runs over
/// tiles of logits. Throws Error unless image and second_image are both [B, D] of unit rows. Chen et al. 2020, eq. 1.
class VLALIGN_EXPORT SimCLR : public ContrastiveLoss {
 public:
  struct Options {
    double temperature = 0.1;  ///< > 0; 0.1 in SimCLR and SLIP
  };

  SimCLR() = default;
  explicit SimCLR(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "simclr"; }
  std::string options() const override;
  BatchParts uses() const override { return {.second_image = true}; }

 private:
  Options options_;
};

}  // namespace vlalign
