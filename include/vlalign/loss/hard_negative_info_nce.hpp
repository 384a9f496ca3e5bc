#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Contrast with hard negatives: those that are similar to the row weigh more, and the share of false negatives that
/// is to be expected is taken out. With S = logit_scale * image text^T and the N = B - 1 negatives of a row,
///
///     R_i = N sum_{j != i} e^{(1 + beta) S_ij} / sum_{j != i} e^{beta S_ij}
///     G_i = max((R_i - tau_plus N e^{S_ii}) / (1 - tau_plus), N e^{-logit_scale})
///     L   = mean_i -log(e^{S_ii} / (e^{S_ii} + G_i)),   and the mean of this over both directions
///
/// beta = 0 and tau_plus = 0 give InfoNCE. Computed in logarithms, so no logit scale overflows. Runs over tiles of
/// logits. Throws Error unless image and text are both [B, D] of unit rows and B >= 2. Robinson et al. 2021, HCL;
/// their N is 2B - 2 because their two views share one modality.
class VLALIGN_EXPORT HardNegativeInfoNCE : public ContrastiveLoss {
 public:
  struct Options {
    double beta = 1.0;      ///< how much hard negatives weigh, >= 0; the authors' code's default
    double tau_plus = 0.1;  ///< expected share of false negatives, 0 to below 1; the authors' code's default
  };

  HardNegativeInfoNCE() = default;
  explicit HardNegativeInfoNCE(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "hcl"; }
  std::string options() const override;

 private:
  Options options_;
};

}  // namespace vlalign
