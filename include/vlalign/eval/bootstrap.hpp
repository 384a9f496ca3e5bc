#pragma once

#include <cstdint>
#include <span>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// Where a figure would lie, had other queries been drawn.
struct Interval {
  double low = 0.0;
  double high = 0.0;
};

struct BootstrapOptions {
  std::int64_t resamples = 1000;  ///< as usual for percentiles (Efron & Tibshirani 1993, chapter 13)
  double confidence = 0.95;       ///< of the interval, 0 to 1
  std::uint64_t seed = 0;         ///< the same seed gives the same interval
};

/// The percentile bootstrap of a mean: values are drawn with replacement as often as there are values, and the interval
/// holds the middle of the means of many such draws (Efron 1979; Efron & Tibshirani 1993, chapter 13).
///   values: [n], n >= 1, finite: a query's hit or miss, its average precision
///
/// Equal values are drawn together, as a binomial number of them, which is the same distribution: a recall over a
/// million queries takes a millisecond. The time grows with the number of different values, 0.1 ms each.
VLALIGN_EXPORT Interval bootstrap_interval(std::span<const double> values, const BootstrapOptions& options = {});

/// The same for values that come in groups, such as the captions of a picture, which succeed or fail together: whole
/// groups are drawn, as often as there are groups, and the mean is over the values in them (Davison & Hinkley 1997,
/// section 3.8).
///   groups: [n], the group of each value, numbered from 0
VLALIGN_EXPORT Interval bootstrap_interval(std::span<const double> values, std::span<const std::int64_t> groups,
                                           const BootstrapOptions& options = {});

/// How much larger the mean of some values is than that of others of the same queries, and whether that is more than
/// chance.
struct PairedDifference {
  double difference = 0.0;
  Interval interval;     ///< of the difference
  double p_value = 1.0;  ///< two-sided: how often such queries show a difference this clear where there is none
};

/// The paired bootstrap of two systems on one test (Koehn 2004; Efron & Tibshirani 1993, chapters 13 and 15): the
/// queries are drawn with replacement, both systems' values with each, so that what is easy or hard for both cancels.
/// The interval is the percentiles of the resampled differences D*, and the p value inverts it: with R resamples
/// 2 (1 + min(#{D* <= 0}, #{D* >= 0})) / (R + 1), at most 1 (Davison & Hinkley 1997, chapter 4), so it is never
/// below 2 / (R + 1).
///   values, others: [n], n >= 1, finite: entry i of both is of the same query
VLALIGN_EXPORT PairedDifference paired_bootstrap(std::span<const double> values, std::span<const double> others,
                                                 const BootstrapOptions& options = {});

/// The same for queries that come in groups: the captions of a picture are drawn with it.
///   groups: [n], the group of each query, numbered from 0
VLALIGN_EXPORT PairedDifference paired_bootstrap(std::span<const double> values, std::span<const double> others,
                                                 std::span<const std::int64_t> groups,
                                                 const BootstrapOptions& options = {});

}  // namespace vlalign
