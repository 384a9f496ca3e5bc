#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Value-implicit pre-training: the distance to the goal's frame is a value function of the video. Needs frames
/// [B, 4, D], of any length: of each clip the start o_0, two successive frames o_t and o_{t+1}, and a later goal. With
/// V(o) = -||o - goal||_2,
///
///     L = (1 - gamma) mean -V(o_0) + log mean e^{-(r + gamma V(o_{t+1}) - V(o_t))},   r = -1
///
/// since o_t never is the goal, where the reward would be 0. Throws Error unless frames fit. Ma et al. 2023, algorithm
/// 1; computed with a log-sum-exp, so that it can't overflow.
class VLALIGN_EXPORT VIP : public ContrastiveLoss {
 public:
  struct Options {
    double gamma = 0.98;  ///< discount, 0 to below 1
  };

  VIP() = default;
  explicit VIP(const Options& options);

  at::Tensor forward(const ContrastiveBatch& batch) const override;
  std::string name() const override { return "vip"; }
  std::string options() const override;
  BatchParts uses() const override { return {.frames = 4, .goal_frames = true}; }

 private:
  Options options_;
};

}  // namespace vlalign
