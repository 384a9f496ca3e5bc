// The steps of a run, whatever it trains. Internal.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>

#include "train/freezing.hpp"
#include "train/gradient_exchange.hpp"
#include "train/kept_buffers.hpp"
#include "train/loss_scaler.hpp"
#include "train/over_ranks.hpp"
#include "train/run_checkpoints.hpp"
#include "train/run_folder.hpp"
#include "train/run_mirror.hpp"
#include "train/run_scope.hpp"
#include "train/run_stages.hpp"
#include "train/run_validation.hpp"
#include "train/run_watch.hpp"
#include "train/task.hpp"
#include "train/weight_average.hpp"
#include "vlalign/train/optimizer.hpp"

namespace vlalign {

using OnStep = std::function<void(const StepResult&)>;
using OnValidation = std::function<void(const ValidationResult&)>;
/// Asks a run to end after its step.
using StopFlag = std::atomic<bool>;
static_assert(StopFlag::is_always_lock_free);  // a signal handler may set it

inline constexpr auto why_skipped = "loss, gradient or statistics were not finite";

double seconds_since(std::chrono::steady_clock::time_point start);
Towers towers_of(const Task& task);

/// Throws Error for fine-tuning that can't work on the task's module, and when nothing would train.
void check_task(const Task& task, const TrainerOptions& options);

/// One run from its first step, or its newest checkpoint, to its last. Whatever it changes but the trained weights is
/// as before when it goes, see RunScope.
class TrainingRun {
 public:
  /// Task, options and flag, which is cleared, must outlive the run.
  TrainingRun(Task& task, const TrainerOptions& options, OnStep on_step, OnValidation on_validation, StopFlag& stop);

  TrainSummary fit();

 private:
  void plan();
  NamedShards kept() const;
  void open_folder(const nlohmann::json& settings);
  void go_on_from_validations();
  void restore(const NamedTensors& stored);
  TrainSummary summary_so_far() const;
  void between_steps(TrainSummary& summary);
  bool validate();
  void check_weights() const;
  void save_checkpoint(bool must);
  void write_checkpoint();
  void check_outcome() const;
  void finish_mirror(const TrainSummary& summary);
  TrainSummary train();
  StepResult step();
  StepResult train_step();
  void note_non_finite(const StepResult& result);
  [[noreturn]] void end_at_non_finite();
  void rewind(StepResult& result);
  StepFigures forward_backward(std::int64_t step);
  double read_figures(const StepFigures& figures, const at::Tensor& norm, double own_seconds, StepResult& result);
  void share_bad_records();
  bool leads_and(bool yes) const;
  void update(const at::Tensor& grad_norm, double learning_rate);

  Task& task_;
  const TrainerOptions& options_;
  const Ranks& ranks_;
  OnStep on_step_;
  OnValidation on_validation_;
  StopFlag& stop_;
  RunScope scope_;
  Freezing freezing_;
  Optimizer optimizer_;
  GradientExchange exchange_;
  std::optional<WeightAverage> average_;
  std::optional<RunFolder> folder_;
  std::optional<RunCheckpoints> checkpoints_;
  std::optional<RunMirror> mirror_;
  LossScaler scaler_;
  bool overflowed_ = false;  ///< the last step, which says nothing against the run
  RunValidation validation_;
  KeptBuffers buffers_;
  SlowRank slow_rank_;
  RunWatch watch_;
  std::optional<GroupNorms> norms_;
  std::int64_t steps_ = 0;
  std::int64_t rewound_ = 0, rewinds_ = 0;  // behind which step the last time, and how often to one checkpoint
  std::optional<RunStages> stages_;
  Progression progression_;
};

}  // namespace vlalign
