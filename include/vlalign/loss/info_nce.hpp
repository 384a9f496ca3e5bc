#pragma once

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Symmetric InfoNCE, CLIP's loss: with S = logit_scale * image text^T,
///
///     L = 1/(2B) sum_i [ -S_ii + logsumexp_j S_ij ] + [ -S_ii + logsumexp_j S_ji ]
///
/// Logits and loss in float32 (float64 for float64 embeddings), whatever the towers ran in. Throws Error unless image
/// and text are both [B, D]. Radford et al. 2021, figure 3; equals open_clip's ClipLoss in float32.
class InfoNCE : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "infonce"; }
};

/// The share of images in the batch whose own text is the most similar one, in [0, 1]; ties count against it.
///   image, text: [B, D]
double batch_accuracy(const at::Tensor& image, const at::Tensor& text);

}  // namespace vlalign
