#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// The student's similarities within the batch follow the teacher's. With S = logit_scale * image text^T, and T the
/// same of the teacher's embeddings and scale,
///
///     L = 1/(2B) sum_i [ -sum_j softmax_j(T_ij) log softmax_j(S_ij) ] + [ -sum_j softmax_j(T_ji) log softmax_j(S_ji) ]
///
/// This is TinyCLIP's affinity mimicking (Wu et al. 2023) and the distillation part of open_clip's
/// DistillClipLoss, whose value it equals in float32. Its minimum is the teacher's entropy, reached where both
/// softmaxes are equal. Needs teacher; the teacher's embeddings may have another dimension. Runs over blocks of rows.
/// Throws Error unless image and text are both [B, D] of unit rows, the teacher's both [B, T], and both scales are
/// there.
class VLALIGN_EXPORT AffinityDistillation : public ContrastiveLoss {
 public:
  struct Options {
    /// Gives the KL divergence, CLIP-KD's CRD (Yang et al. 2024): the same gradient, and a minimum of 0.
    bool subtract_entropy = false;
  };

  AffinityDistillation() = default;
  explicit AffinityDistillation(const Options& options) : options_(options) {}

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "distill"; }
  std::string options() const override;
  BatchParts uses() const override { return {.teacher = true}; }

 private:
  Options options_;
};

}  // namespace vlalign
