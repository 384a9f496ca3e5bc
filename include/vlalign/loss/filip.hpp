#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// FILIP: contrast by token-wise late interaction. With f_ik token k of image i, which has n_i real ones, g_jr token r
/// of text j, which has m_j, and s the logit scale,
///
///     a_ij = 1/n_i sum_k max_r f_ik . g_jr     image i to text j
///     b_ji = 1/m_j sum_r max_k f_ik . g_jr     text j to image i
///     L    = 1/(2B) sum_i [ -s a_ii + logsumexp_j s a_ij ] + [ -s b_ii + logsumexp_j s b_ij ]
///
/// Padding counts nowhere, whatever stands in it. Needs tokens: image_tokens [B, N, D] and text_tokens [B, M, D]; image
/// and text aren't used. Runs over blocks of items, each N B M (or M B N) cosines an item. Throws Error unless the
/// tokens fit, are unit rows, and every item has at least one. Yao et al. 2022.
class VLALIGN_EXPORT FILIP : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "filip"; }
  BatchParts uses() const override { return {.tokens = true}; }
};

}  // namespace vlalign
