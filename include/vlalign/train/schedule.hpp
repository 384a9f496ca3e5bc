#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

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

/// Of a run of so many steps, those of the warm-up. Throws Error on numbers out of range, where it leaves none, and
/// where warm-up and cool-down overlap.
VLALIGN_EXPORT std::int64_t warmup_steps(const Schedule& schedule, std::int64_t steps);

/// The factor on the learning rate at step s of N, counted from 0. In a warm-up of w steps (s + 1) / w; then with a
/// cosine (1 + cos(pi (s - w) / (N - w))) / 2, and in a cool-down of c steps (N - s) / c. Throws as warmup_steps().
VLALIGN_EXPORT double learning_rate_factor(const Schedule& schedule, std::int64_t step, std::int64_t steps);

/// "cosine", "constant" or "constant-cooldown". Throws Error on another name.
VLALIGN_EXPORT Schedule::Shape parse_schedule(std::string_view name);
VLALIGN_EXPORT std::string_view to_string(Schedule::Shape shape);

}  // namespace vlalign
