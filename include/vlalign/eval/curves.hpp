#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/training_metrics.hpp"
#include "vlalign/eval/validation_result.hpp"

namespace vlalign {

/// A figure over the steps of a run, in a few hundred points however long the run is: each stands for a stretch of
/// neighbouring entries, twice as long a stretch whenever the points would become too many.
class VLALIGN_EXPORT Curve {
 public:
  static constexpr std::size_t most_points = 400;

  struct Point {
    double step = 0;          ///< the last one of the stretch
    double sum = 0;           ///< of the finite values
    std::int64_t finite = 0;  ///< how many of those there are
    double low = 0, high = 0;

    double mean() const;  ///< of the finite values; NaN without one
  };

  void add(double step, double value);
  /// At most most_points, and at least half as many where there are as many entries.
  const std::vector<Point>& points() const { return points_; }
  bool empty() const { return points_.empty(); }
  double last() const { return last_; }  ///< the value added last

 private:
  void halve();

  std::vector<Point> points_;
  std::int64_t stretch_ = 1, in_last_ = 0;
  double last_ = 0;
};

/// A run's metrics.jsonl as curves, of the same size after a million steps.
class VLALIGN_EXPORT TrainingCurves {
 public:
  TrainingCurves() = default;
  /// Columns without values become empty curves. Throws Error when another isn't as long as the steps.
  TrainingCurves(const TrainingMetrics& metrics);  // NOLINT(google-explicit-constructor): the same in fewer points

  void add(const StepMetrics& line);

  Curve loss, accuracy, learning_rate, logit_scale, pairs_per_s;
  Curve samples_seen;  ///< pairs so far
  Curve seconds;       ///< of the training so far, those before a resume included and pauses left out

 private:
  void add_seconds(double step, double samples_seen, double pairs_per_s);

  double seconds_so_far_ = 0, samples_so_far_ = 0;
};

/// A run's validation.jsonl as curves, one for each figure of each validation.
class VLALIGN_EXPORT ValidationCurves {
 public:
  struct Entry {
    std::string name;  ///< of the validation
    std::string key;   ///< of the figure: "image_to_text.recall@1"
    Curve curve{};
  };

  ValidationCurves() = default;
  ValidationCurves(const std::vector<ValidationResult>& lines);  // NOLINT(google-explicit-constructor)

  void add(const ValidationResult& line);
  const std::vector<Entry>& entries() const { return entries_; }  ///< in the order in which they first appeared

 private:
  std::vector<Entry> entries_;
};

}  // namespace vlalign
