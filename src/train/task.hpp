// What a run trains, apart from how it is driven. Internal.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// What a step's batch gave. The figures are scalars [] without a graph, still on the device: reading one waits for it.
struct StepFigures {
  StepResult known;  ///< epoch, samples_seen (those of the batch) and wait_s
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

  virtual std::int64_t batches_per_epoch() const = 0;
  /// The next batch is the one of this step, counted from 0.
  virtual void seek(std::int64_t step) = 0;
  /// Takes the next batch and leaves its gradients.
  ///   step: counted from 0; progress: of the run, from 0 to 1
  virtual StepFigures forward_backward(std::int64_t step, double progress) = 0;
  virtual std::vector<std::string> bad_records() const = 0;
};

/// Seeds LibTorch's default generator, for dropout in a tower, from (seed, step, place in the batch).
void seed_towers(const TrainerOptions& options, std::int64_t step, std::int64_t place);

nlohmann::json to_json(const Augmentation& augmentation);
/// The files that describe the model in its own layout, by name.
nlohmann::json config_of(const DualEncoder& model);

}  // namespace vlalign
