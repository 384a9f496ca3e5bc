#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Language-image value learning: VIP with the cosine to the goal as the value, for goals that are images and goals
/// that are texts, plus InfoNCE of goal images and texts. Needs frames [B, 4, D] as VIP does, of any length, and text
/// [B, D]. With V(o; g) = cos(o, g) / (1 - gamma) and VIP(g) the loss of VIP with that value and goal g,
///
///     L = VIP(goal image) + VIP(text) + InfoNCE(goal image, text) at a logit scale of 1
///
/// The batch's own logit scale isn't used. Throws Error unless frames and text fit. Ma et al. 2023, LIV, with the
/// authors' code's weights of 1; computed with a log-sum-exp, where their exponential can overflow float32.
class VLALIGN_EXPORT LIV : public ContrastiveLoss {
 public:
  struct Options {
    double gamma = 0.98;  ///< discount, 0 to below 1
  };

  LIV() = default;
  explicit LIV(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "liv"; }
  std::string options() const override;
  BatchParts uses() const override { return {.frames = 4, .goal_frames = true}; }

 private:
  Options options_;
};

}  // namespace vlalign
