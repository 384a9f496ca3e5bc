#pragma once

#include <filesystem>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// A line of a run's metrics.jsonl; NaN where it has null.
struct StepMetrics {
  double step = 0;
  double epoch = 0;
  double loss = 0;           ///< nats
  double accuracy = 0;       ///< share of the batch whose own caption scores best, 0 to 1
  double learning_rate = 0;  ///< key "lr"
  double logit_scale = 0;
  double samples_seen = 0;
  double pairs_per_s = 0;
};

/// The lines of a run's metrics.jsonl as columns, one entry a step: see StepMetrics.
struct TrainingMetrics {
  std::vector<double> step;
  std::vector<double> epoch;
  std::vector<double> loss;
  std::vector<double> accuracy;
  std::vector<double> learning_rate;
  std::vector<double> logit_scale;
  std::vector<double> samples_seen;
  std::vector<double> pairs_per_s;
};

/// Reads metrics.jsonl; other keys are ignored. Throws Error with file and line for what is not such a line.
VLALIGN_EXPORT TrainingMetrics read_metrics(const std::filesystem::path& file);

}  // namespace vlalign
