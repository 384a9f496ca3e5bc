#pragma once

#include <array>
#include <cstdint>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// How long something took, over and over: quantiles of any number of durations from fixed memory. For one thread.
///
///     latency.record(seconds);
///     std::printf("p99 %.1f ms\n", 1000 * latency.quantile(0.99));
class VLALIGN_EXPORT LatencyHistogram {
 public:
  /// Adds a duration. Those under a microsecond count as one, those over 100 s as 100 s; a NaN is left out.
  void record(double seconds);

  /// The duration, in seconds, that a share q of those recorded doesn't exceed: the smallest such, within 2.5 %. q: 0
  /// to
  /// 1. 0 when nothing was recorded. Throws Error on another q.
  double quantile(double q) const;

  std::int64_t count() const { return count_; }
  void reset();

 private:
  static constexpr int buckets = 379;  // each 5 % longer than the one before, 1 us to 100 s
  std::array<std::int64_t, buckets> counts_{};
  std::int64_t count_ = 0;
};

}  // namespace vlalign
