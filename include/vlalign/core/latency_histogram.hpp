#pragma once

#include <array>
#include <cstdint>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Quantiles of how long something took each time. Any number of durations take the same memory. For one thread.
///
///     latency.record(seconds);
///     std::printf("p99 %.1f ms\n", 1000 * latency.quantile(0.99));
class VLALIGN_EXPORT LatencyHistogram {
 public:
  /// Adds a duration. Durations below a microsecond count as a microsecond, those above 100 s as 100 s, and a NaN as
  /// nothing.
  void record(double seconds);

  /// The smallest duration, in seconds and within 2.5 %, that is at least as long as a share q of those recorded; 0
  /// when nothing was recorded. Throws Error unless q is between 0 and 1.
  double quantile(double q) const;

  std::int64_t count() const { return count_; }
  void reset();

 private:
  static constexpr int buckets = 379;  // each 5 % longer than the one before, 1 us to 100 s
  std::array<std::int64_t, buckets> counts_{};
  std::int64_t count_ = 0;
};

}  // namespace vlalign
