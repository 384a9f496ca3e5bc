// The steps of a run, whatever it trains. Internal.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "freezing.hpp"
#include "kept_buffers.hpp"
#include "run_folder.hpp"
#include "task.hpp"
#include "vlalign/train/adamw.hpp"
#include "weight_average.hpp"

namespace vlalign {

/// Before anything is made of the options: throws Error naming one that can't work, sets the thread count, and brings
/// the teacher to its place.
void prepare(const TrainerOptions& options);

class TrainingRun {
 public:
  /// Throws Error when nothing would train. The task must outlive the run.
  TrainingRun(Task& task, const TrainerOptions& options);

  void on_step(std::function<void(const StepResult&)> callback) { on_step_ = std::move(callback); }
  TrainSummary fit();

 private:
  void plan();
  nlohmann::json settings() const;
  NamedTensors tensors() const;
  void save_checkpoint(RunFolder& folder);
  StepResult step();
  StepResult train_step();
  void update(const at::Tensor& grad_norm, double learning_rate);

  Task& task_;
  const TrainerOptions& options_;
  std::function<void(const StepResult&)> on_step_ = [](const StepResult&) {};
  Freezing freezing_;
  AdamW optimizer_;
  std::optional<WeightAverage> average_;
  KeptBuffers buffers_;
  std::int64_t steps_ = 0, warmup_ = 0;
  Progression progression_;
};

}  // namespace vlalign
