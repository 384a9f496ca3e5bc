// Whether a run does better than the baseline. Internal.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "report/run_record.hpp"

namespace vlalign {

/// A run's test beside the same of the baseline.
struct TestDifference {
  std::map<std::string, PairedDifference> paired;  ///< by the figures' keys
  std::string why_not{};                           ///< nothing is paired, for people
};

/// Pairs the queries of two runs' tests of one name, where both have them, they are the same, and of the evaluation
/// that eval.json tells of.
TestDifference difference_of(const FinalTest& test, const FinalTest& baseline);

/// "better (p = 0.004)", "no more than chance (p = 0.4)"; without pairs whether the intervals overlap; nothing where
/// there are none.
std::string verdict(const std::string& key, const FinalTest& test, const FinalTest& baseline,
                    const TestDifference& difference);

}  // namespace vlalign
