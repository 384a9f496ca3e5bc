#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// How several positives of a row are put together (Khosla et al. 2020, SupCon, equations 2 and 3).
enum class Positives {
  mean_of_logs,  ///< "out": -1/|P| sum_p log softmax_p, as UniCL (Yang et al. 2022) has it too
  log_of_mean,   ///< "in": -log(1/|P| sum_p softmax_p)
};

/// Symmetric InfoNCE, CLIP's loss: with S = logit_scale * image text^T,
///
///     L = 1/(2B) sum_i [ -S_ii + logsumexp_j S_ij ] + [ -S_ii + logsumexp_j S_ji ]
///
/// With targets, -S_ii becomes -sum_j q_ij S_ij, where q are a row's wanted probabilities: 1/|P| for each of the row's
/// group, or its soft targets divided by their sum (along the columns for the texts). A row without any counts 0. Label
/// smoothing e makes that (1 - e) q + e/B (Jia et al. 2021, ALIGN, with 0.1).
///
/// Runs over tiles of logits, in float32 (float64 for float64 embeddings) whatever the towers ran in. Adding a bias to
/// every logit would change nothing, so logit_bias isn't used. Throws Error unless image and text are both [B, D] of
/// unit rows and the targets fit. Radford et al. 2021, figure 3; equals open_clip's ClipLoss in float32.
class VLALIGN_EXPORT InfoNCE : public ContrastiveLoss {
 public:
  struct Options {
    double label_smoothing = 0.0;
    Positives positives = Positives::mean_of_logs;
  };

  InfoNCE() = default;
  explicit InfoNCE(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override;
  std::string options() const override;
  BatchParts uses() const override;

 private:
  Options options_;
};

/// The share of images in the batch whose own text is the most similar one, in [0, 1]; ties count against it.
///   image, text: [B, D]
VLALIGN_EXPORT double batch_accuracy(const at::Tensor& image, const at::Tensor& text);

}  // namespace vlalign
