#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// The triplet loss with one semi-hard negative a row. With d_ij = ||image_i - text_j||^2 = 2 - 2 cos,
///
///     L = 1/(2B) sum_i max(0, d_ii - d_in(i) + margin) + max(0, d_ii - d_m(i)i + margin)
///
/// where n(i) is the text nearest to image i among the negatives farther from it than its own text; m(i) likewise for
/// text i. If no negative is farther, it is the farthest one: the least wrong of them, which keeps the loss from
/// collapsing the space early on. The paper leaves that case open. Pairs of one group are no negatives of each other; a
/// row without negatives counts 0. The logit scale isn't used. Runs over blocks of rows. Throws Error unless image and
/// text are both [B, D] of unit rows, B >= 2 and groups fit. Schroff et al. 2015, FaceNet.
class VLALIGN_EXPORT SemiHardTriplet : public ContrastiveLoss {
 public:
  struct Options {
    double margin = 0.2;  ///< of squared distances, > 0; 0.2 in the paper
  };

  SemiHardTriplet() = default;
  explicit SemiHardTriplet(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "triplet"; }
  std::string options() const override;
  BatchParts uses() const override { return {.groups = true}; }

 private:
  Options options_;
};

}  // namespace vlalign
