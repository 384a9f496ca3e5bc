// A run folder, as far as it has come. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/eval/curves.hpp"
#include "vlalign/eval/test_outcome.hpp"

namespace vlalign {

/// One test of a run's eval.json.
struct FinalTest {
  std::string name;                           ///< empty where the folder doesn't say: the one test, or the first
  std::map<std::string, double> figures;      ///< by their keys: "image_to_text.recall@1"
  std::map<std::string, Interval> intervals;  ///< 95%, of those that have one
  std::optional<TestOutcome> outcome{};       ///< of its queries
};

struct RunRecord {
  std::string name;   ///< the folder's, with as many of those above it as tell it from the other runs'
  std::string state;  ///< "done, 5,000 steps"
  std::map<std::string, std::string> settings;  ///< of config.json, those inside others by dotted names
  TrainingCurves training;
  ValidationCurves validations;
  std::vector<FinalTest> tests;
  std::vector<std::string> missing;  ///< what can't be shown, and why: a sentence each
};

/// Throws Error for a folder that is no run, naming it. What else is missing in it, or can't be read, is listed.
RunRecord read_run(const std::filesystem::path& folder);

/// The shortest names that tell folders apart: their own, and as many of those above them as it takes.
std::vector<std::string> names_of(const std::vector<std::filesystem::path>& folders);

}  // namespace vlalign
