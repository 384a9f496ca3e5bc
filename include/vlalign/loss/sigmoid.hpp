#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// SigLIP's loss: each pair of an image and a text is a question of its own, whether they match,
///
///     L = 1/B sum_ij softplus(-z_ij (logit_scale * image_i . text_j + logit_bias)),   z = 1 where they match, else -1
///
/// divided by B, not B^2, as the paper has it. Groups say which match; soft targets are the probabilities that they do.
/// Start from a scale of 10 and a bias of -10: without the bias the many negatives swamp the beginning. Runs over tiles
/// of logits. Throws as InfoNCE does. Zhai et al. 2023, algorithm 1; equals open_clip's SigLipLoss in float32.
class VLALIGN_EXPORT SigmoidLoss : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "siglip"; }
  SumOverTexts over_other_texts() const override;
  BatchParts uses() const override { return {.logit_bias = true, .groups = true, .soft_targets = true}; }
};

}  // namespace vlalign
