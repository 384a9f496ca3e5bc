#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Symmetric InfoNCE without a temperature: the logits are log odds of the cosine,
///
///     S = 2 artanh(cos) = log((1 + cos) / (1 - cos))
///     L = 1/(2B) sum_i [ -S_ii + logsumexp_j S_ij ] + [ -S_ii + logsumexp_j S_ji ]
///
/// with |cos| held to at most 1 - 1e-6, where S is 14.5 and float32 can still tell cosines apart; there the gradient is
/// zero. The logit scale isn't used. Runs over blocks of rows. Throws Error unless image and text are both [B, D] of
/// unit rows. Kim and Kim 2025, arXiv 2501.17683.
class VLALIGN_EXPORT TemperatureFree : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "temperature_free"; }
};

}  // namespace vlalign
