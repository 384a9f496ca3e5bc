#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/feed_forward.hpp"
#include "vlalign/vla/fusion/fusion.hpp"

namespace vlalign::vla {

/// The pooled vectors, projected to D each, joined and put through an MLP: one vector. The state is projected too and
/// concatenated, in either way of joining.
class VLALIGN_EXPORT LateFusion : public Fusion {
 public:
  enum class Join {
    concatenate,  ///< [v; t], as LeRobot's multi-task DiT conditions on its towers
    multiply,     ///< v * t, elementwise
  };
  struct Options {
    Join join = Join::concatenate;
    std::int64_t hidden = 512;
  };
  LateFusion(const FusionSizes& sizes, const Options& options, nn::Initializer& initializer);

  std::shared_ptr<nn::Linear> visual_proj, text_proj;
  std::shared_ptr<nn::FeedForward> mlp;

 protected:
  Tensor fuse(const FusionInput& input) const override;

 private:
  Join join_;
};

}  // namespace vlalign::vla
