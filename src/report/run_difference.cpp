#include "report/run_difference.hpp"

#include <fmt/format.h>

#include <cmath>

namespace vlalign {
namespace {

constexpr double significant = 0.05;
constexpr std::int64_t difference_resamples = 10'000;  // the least p value is 0.0002

/// An evaluation may have been made again with another model, and only one of its files kept.
bool agrees(const FinalTest& test, const FinalTest& baseline,
            const std::map<std::string, PairedDifference>& differences) {
  for (const auto& [key, difference] : differences) {
    const auto own = test.figures.find(key), other = baseline.figures.find(key);
    if (own == test.figures.end() || other == baseline.figures.end()) return false;
    if (std::abs(own->second - other->second - difference.difference) > 1e-6) return false;
  }
  return true;
}

}  // namespace

TestDifference difference_of(const FinalTest& test, const FinalTest& baseline) {
  if (!test.outcome || !baseline.outcome) return {{}, "eval.safetensors doesn't tell of each query in both runs"};
  if (test.outcome->test != baseline.outcome->test) return {{}, "the tests hold different pairs"};
  auto paired = compare_outcomes(*test.outcome, *baseline.outcome, {.resamples = difference_resamples});
  if (!agrees(test, baseline, paired)) return {{}, "eval.safetensors is not of the evaluation in eval.json"};
  return {.paired = std::move(paired)};
}

std::string verdict(const std::string& key, const FinalTest& test, const FinalTest& baseline,
                    const TestDifference& difference) {
  if (const auto found = difference.paired.find(key); found != difference.paired.end()) {
    const auto& [by, interval, p] = found->second;
    if (p >= significant) return fmt::format("no more than chance (p\u00a0=\u00a0{:.2g})", p);
    return fmt::format("{} (p\u00a0=\u00a0{:.1g})", by > 0 ? "better" : "worse", p);
  }
  const auto own = test.intervals.find(key), other = baseline.intervals.find(key);
  if (own == test.intervals.end() || other == baseline.intervals.end()) return "";
  const bool apart = own->second.low > other->second.high || own->second.high < other->second.low;
  return apart ? "not paired; the intervals lie apart" : "not paired; the intervals overlap";
}

}  // namespace vlalign
