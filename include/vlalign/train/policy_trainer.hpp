#pragma once

#include <memory>
#include <optional>

#include "vlalign/core/export.hpp"
#include "vlalign/data/sources/episodes.hpp"
#include "vlalign/train/trainer.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign::vla {

/// An alignment loss with which a policy's towers go on training, beside the actions.
struct AlignmentBeside {
  AnyLoss loss;
  std::shared_ptr<const PairSource> pairs;
  double weight = 1.0;           ///< of its loss, >= 0; the head's has weight 1
  std::int64_t batch_size = 64;  ///< pairs a step
};

/// Trains a policy on demonstrations as Trainer trains an alignment: the same options, run folder (whose model folders
/// Policy::load reads), exact resume, freezing and rates by pattern on the names in policy.module(), e.g. {"encoder.*",
/// 0.1}; with add_lora(policy.encoder(), ...) the towers train through an adapter.
///
///     PolicyTrainer trainer(policy, {.learning_rate = 3e-4, .fine_tuning = {.freeze = {"encoder.*"}}});
///     trainer.fit(open_episodes("demos.tar"));
class VLALIGN_EXPORT PolicyTrainer {
 public:
  /// options.targets and .teacher are the alignment loss's; micro_batch doesn't go with a policy.
  /// Throws Error on options that can't work.
  PolicyTrainer(Policy policy, TrainerOptions options = {}, std::optional<AlignmentBeside> alignment = {});
  ~PolicyTrainer();

  /// As Trainer::on_step.
  void on_step(std::function<void(const StepResult&)> callback);
  /// As Trainer::on_validation; a Validation's model is the policy's encoder.
  void on_validation(std::function<void(const ValidationResult&)> callback);

  /// A run of its own, as Trainer::fit. Throws Error as that does, and when the demonstrations' states or actions
  /// aren't the policy's.
  TrainSummary fit(std::shared_ptr<const EpisodeSource> episodes);

  /// As Trainer::stop.
  void stop() noexcept;

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

/// Where the demonstrations' states and actions lie: fills state, actions.dims, state_mean, state_std (at least 1e-6),
/// action_low and action_high (the range; a number that never changes has one of 1 around it). Throws Error naming the
/// episode and step whose numbers aren't finite, and without any step.
VLALIGN_EXPORT void measure_ranges(const std::shared_ptr<const EpisodeSource>& episodes, PolicyConfig& config);

}  // namespace vlalign::vla
