#include "vlalign/core/latency_histogram.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr double shortest = 1e-6, longest = 100.0, growth = 1.05;

}  // namespace

void LatencyHistogram::record(double seconds) {
  if (std::isnan(seconds)) return;
  const double place = std::log(std::clamp(seconds, shortest, longest) / shortest) / std::log(growth);
  ++counts_[std::min<std::size_t>(static_cast<std::size_t>(place), counts_.size() - 1)];
  ++count_;
}

double LatencyHistogram::quantile(double q) const {
  check(q >= 0 && q <= 1, "[LatencyHistogram] q: expected 0 to 1, got {}", q);
  if (count_ == 0) return 0;
  const auto rank = std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(q * static_cast<double>(count_))));
  std::size_t bucket = 0;
  for (std::int64_t seen = counts_[0]; seen < rank; seen += counts_[bucket]) ++bucket;
  return shortest * std::pow(growth, static_cast<double>(bucket) + 0.5);  // the middle of the bucket, as logarithms go
}

void LatencyHistogram::reset() { *this = {}; }

}  // namespace vlalign
