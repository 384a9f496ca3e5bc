// What a run trains, apart from how it is driven. Internal.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/loading/batch_maker.hpp"
#include "train/gradient_exchange.hpp"
#include "train/loss_scaler.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// What a step's batch gave. The figures are scalars [] without a graph, still on the device: reading one waits for it.
/// Each is a rank's share: the batch's is their mean over the ranks.
struct StepFigures {
  StepResult known;  ///< epoch, samples_seen (the rank's own of the batch) and wait_s
  at::Tensor loss, logit_scale;
  at::Tensor accuracy, action_loss;  ///< undefined where there is none
};

/// A model, its data and its loss: the alignment of two towers, or a policy on them.
class Task {
 public:
  virtual ~Task() = default;

  /// All that may train, the towers in it, and what the towers' names begin with there.
  virtual torch::nn::Module& module() const = 0;
  virtual const DualEncoder& encoder() const = 0;
  virtual std::string encoder_prefix() const { return {}; }

  /// What decides the bits of the run beside the options every run has.
  virtual nlohmann::json settings() const = 0;
  /// What decides them too and is named or counted in the settings only: fingerprints of the data and the tokenizer,
  /// the loss's own options.
  virtual nlohmann::json identity() const = 0;
  virtual void write(const std::filesystem::path& folder) const = 0;
  virtual void load_weights(const std::filesystem::path& folder) = 0;

  /// From here on batches are of a stage's sizes; where they were of others, the next is that of `step`. A task that
  /// has no stages refuses them when it is made.
  virtual void enter(const Stage& stage, std::int64_t step) = 0;
  /// What makes its batches: the first counts the epochs.
  virtual std::vector<BatchMaker*> batches() const = 0;
  /// Takes the next batch and leaves its gradients.
  ///   step: counted from 0; progress: of the run, from 0 to 1; scaler: of the loss that backward() begins with;
  ///   exchange: to be armed before the last backward pass
  virtual StepFigures forward_backward(std::int64_t step, double progress, const LossScaler& scaler,
                                       GradientExchange& exchange) = 0;
};

/// Seeds LibTorch's default generator, for dropout in a tower, from (seed, step, place in the batch).
void seed_towers(const TrainerOptions& options, std::int64_t step, std::int64_t place);

}  // namespace vlalign
