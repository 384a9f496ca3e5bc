#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/curves.hpp"
#include "vlalign/eval/embed.hpp"
#include "vlalign/eval/retrieval.hpp"

namespace vlalign {

/// A row of the report's table about the run, e.g. {"Parameters", "9.1 million"}.
struct ReportFact {
  std::string name;
  std::string value;
};

/// One test set, named for what it asks.
struct ReportTest {
  std::string name;  ///< e.g. "Unseen combinations"
  std::string note;  ///< a sentence or two for people: what is new about these pairs; may be empty
  RetrievalScores scores;
  Embeddings embeddings;  ///< for the examples, the similarity matrix and the map; without them only figures are shown
  std::shared_ptr<const PairSource> source;  ///< where the pictures of `embeddings` come from; needed with them
};

/// Where a run stands that isn't over.
struct ReportProgress {
  std::int64_t step = 0;  ///< steps done
  std::int64_t steps = 0;
  std::chrono::system_clock::time_point written{};
  /// The page reloads itself so often, while the run lasts; without it the run was stopped before its last step.
  std::optional<std::chrono::seconds> reload{};
};

struct ReportInput {
  std::string title;
  std::string subtitle;           ///< one sentence under the title; may be empty
  std::vector<ReportTest> tests;  ///< in the order shown; the first figures are the headline
  TrainingCurves metrics;         ///< made from TrainingMetrics too; no curves are shown without steps
  std::vector<ReportFact> facts;
  ValidationCurves validations{};            ///< what was found while the run trained
  std::optional<ReportProgress> progress{};  ///< of a run that isn't over
};

/// The report as one HTML page that needs no network: headline figures beside chance, retrieved captions and pictures,
/// the similarity matrix, a map of the joint space, curves of training and validation. Examples are evenly spaced
/// through each test, never picked. At most about 3 MB for up to three tests. Throws Error when a test's embeddings and
/// source don't belong together, or one of the pictures can't be read again.
VLALIGN_EXPORT std::string report_html(const ReportInput& input);

/// Throws Error where write_report() would: anything but an empty file or an earlier report is at that place, or
/// nothing can be. For asking before long work.
VLALIGN_EXPORT void check_report_place(const std::filesystem::path& file);

/// Writes report_html to a file, whole or not at all. Replaces an empty file or an earlier report; throws Error for
/// anything else at that place, and leaves it alone.
VLALIGN_EXPORT void write_report(const ReportInput& input, const std::filesystem::path& file);

}  // namespace vlalign
