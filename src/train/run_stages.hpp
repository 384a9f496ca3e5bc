// The stages of a run: which there can be, whose step is whose, and what the towers take in one. Internal.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// Throws Error, naming stage and field, for numbers that are out of range for any model, and for shares that don't add
/// up to 1.
void check_stages(const std::vector<Stage>& stages);

/// Throws Error, naming stage and field, for what the options' stages can't show this model.
void check_stages_fit(const TrainerOptions& options, const DualEncoder& model);

/// The steps of a run, cut into its stages; a run without stages is one at full size.
class RunStages {
 public:
  /// Stages get steps by their shares, rounded down, and those of the largest remainders one more. Throws Error for a
  /// stage that gets none.
  RunStages(std::vector<Stage> stages, std::int64_t steps);

  /// step: counted from 0; the last stage's behind the end of the run, too.
  const Stage& at(std::int64_t step) const { return stages_[index_of(step)]; }
  /// Whether a step is a stage's first; never without stages.
  bool begins_at(std::int64_t step) const { return !none_ && (step == 0 || index_of(step) != index_of(step - 1)); }
  /// For people, of a step's stage: "stage 1 of 3, to step 60, 32x32 pixels".
  std::string description(std::int64_t step) const;
  /// What a resumed run must agree in: the stages with their steps; null without any.
  nlohmann::json settings() const;
  /// Logs a warning where the last stage shows less than the whole model takes.
  void warn_of_the_end(const DualEncoder& model) const;

 private:
  std::size_t index_of(std::int64_t step) const;

  bool none_;
  std::vector<Stage> stages_;
  std::vector<std::int64_t> ends_;  ///< the step behind each stage's last
};

/// The towers take what a stage says as long as this lives, and what they took before afterwards.
class StageInPlace {
 public:
  StageInPlace(nn::DualEncoderImpl& towers, const Stage& stage);
  StageInPlace(const StageInPlace&) = delete;
  StageInPlace& operator=(const StageInPlace&) = delete;
  ~StageInPlace();

 private:
  nn::DualEncoderImpl& towers_;
  nn::InputSizes image_, text_;
};

}  // namespace vlalign
