#pragma once

#include <cstdint>
#include <optional>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// How the learning rate goes on from its warm-up, which is linear.
struct Schedule {
  enum class Shape {
    cosine,    ///< half a cosine down to 0 at the last step, as open_clip's cosine_lr (scheduler.py)
    constant,  ///< the peak to the end: a run that has no end yet
    /// The peak, and then down to 0 in a straight line (Hägele et al. 2024): a checkpoint from before the cool-down can
    /// be lengthened.
    constant_cooldown,
  };
  Shape shape = Shape::cosine;
  /// Steps of warm-up; without it and without a share a tenth of the run, and at most CLIP's 2,000.
  std::optional<std::int64_t> warmup{};
  std::optional<double> warmup_share{};  ///< in place of steps: of the run's, 0 to below 1
  double cooldown_share = 0.2;           ///< of the run's steps, for constant_cooldown: above 0, up to 1
};

/// The factor on the learning rate at a step counted from 0: linear warm-up (s + 1) / w for s < w, then a half cosine
/// to 0 at `steps`. As open_clip's cosine_lr (scheduler.py).
VLALIGN_EXPORT double warmup_cosine(std::int64_t step, std::int64_t warmup, std::int64_t steps);

}  // namespace vlalign
