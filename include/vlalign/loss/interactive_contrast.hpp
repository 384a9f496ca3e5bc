#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// InfoNCE across student and teacher: each image of the student finds its text among the teacher's texts, and each
/// text its image. With x and y for the student's images and texts, v and t for the teacher's, and s for the student's
/// logit scale, the loss is
///
///     L = 1/(2B) sum_i [ -s x_i . t_i + logsumexp_j s x_i . t_j ] + [ -s y_i . v_i + logsumexp_j s y_i . v_j ]
///
/// Needs teacher. Runs over tiles of logits. Throws Error unless all four are [B, D] of unit rows. Yang et al. 2024,
/// CLIP-KD's ICL.
class VLALIGN_EXPORT InteractiveContrast : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "interactive"; }
  BatchParts uses() const override { return {.teacher = true}; }
};

}  // namespace vlalign
