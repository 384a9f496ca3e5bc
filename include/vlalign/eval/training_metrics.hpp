#pragma once

#include <filesystem>
#include <vector>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// The lines of a run's metrics.jsonl as columns, one entry a step; NaN where a line has null.
struct TrainingMetrics {
  std::vector<double> step;
  std::vector<double> epoch;
  std::vector<double> loss;           ///< nats
  std::vector<double> accuracy;       ///< share of the batch whose own caption scores best, 0 to 1
  std::vector<double> learning_rate;  ///< key "lr"
  std::vector<double> logit_scale;
  std::vector<double> samples_seen;
  std::vector<double> pairs_per_s;
};

/// Reads metrics.jsonl; other keys are ignored. Throws Error with file and line for what is not such a line.
VLALIGN_EXPORT TrainingMetrics read_metrics(const std::filesystem::path& file);

}  // namespace vlalign
