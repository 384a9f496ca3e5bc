#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// The student's embeddings come near the teacher's,
///
///     L = 1/B sum_i ||image_i - teacher_image_i||^2 + ||text_i - teacher_text_i||^2
///
/// Needs teacher. Throws Error unless all four are [B, D] of unit rows: a student of another dimension needs a
/// projection first. Yang et al. 2024, CLIP-KD's FD, as the paper writes it; its code divides by D too, so that its
/// weight of 2000 is 2000 / D here.
class VLALIGN_EXPORT FeatureDistillation : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "feature_distill"; }
  BatchParts uses() const override { return {.teacher = true}; }
};

}  // namespace vlalign
