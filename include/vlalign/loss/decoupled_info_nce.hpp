#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Decoupled contrastive learning: symmetric InfoNCE whose denominator leaves the pair itself out, so that a pair that
/// is already well aligned still pushes its negatives away with full strength. With S = logit_scale * image text^T,
///
///     L = 1/(2B) sum_i [ -S_ii + logsumexp_{j != i} S_ij ] + [ -S_ii + logsumexp_{j != i} S_ji ]
///
/// It may be negative. Runs over tiles of logits. Throws Error unless image and text are both [B, D] of unit rows and
/// B >= 2: without negatives the loss would be minus infinity. Yeh et al. 2022, DCL, between modalities.
class VLALIGN_EXPORT DecoupledInfoNCE : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "dcl"; }
};

}  // namespace vlalign
