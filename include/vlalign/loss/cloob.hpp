#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// CLOOB: InfoLOOB on embeddings that a modern Hopfield network has retrieved from the batch. With images x, texts y,
/// s the logit scale and U_qk = norm(softmax(beta q k^T) k), what the rows q retrieve from the stored rows k,
///
///     L = LOOB(U_xx, U_yx) + LOOB(U_yy, U_xy)
///     LOOB(a, b) = 1/s mean_i [ -s a_i . b_i + logsumexp_{j != i} s a_i . b_j ]
///
/// The first term compares within the stored images, the second within the stored texts. It may be negative. InfoLOOB
/// runs over tiles of logits, retrieval through ATen's attention. Throws Error unless image and text are both [B, D] of
/// unit rows and B >= 2. Fürst et al. 2022; on Conceptual Captions they fix s to 30.
class VLALIGN_EXPORT CLOOB : public ContrastiveLoss {
 public:
  struct Options {
    double beta = 8.0;      ///< sharpness of the retrieval, > 0; the authors' 8 for Conceptual Captions
    bool retrieval = true;  ///< false: InfoLOOB of the embeddings themselves
  };

  CLOOB() = default;
  explicit CLOOB(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "cloob"; }
  std::string options() const override;

 private:
  Options options_;
};

}  // namespace vlalign
