#include "vlalign/train/trainer.hpp"

#include "core/check.hpp"
#include "model/int8_mode.hpp"
#include "train/alignment_task.hpp"
#include "train/option_checks.hpp"
#include "train/training_run.hpp"

namespace vlalign {

struct Trainer::State {
  DualEncoder model;
  AnyLoss loss;
  TrainerOptions options;
  OnStep on_step = [](const StepResult&) {};
  OnValidation on_validation = [](const ValidationResult&) {};
  StopFlag stop{};

  TrainSummary fit(const auto& source) {
    AlignmentTask task(model, loss, options);
    task.open(source);
    drop_columns(model, "for it is trained");
    return TrainingRun(task, options, on_step, on_validation, stop).fit();
  }
};

Trainer::Trainer(DualEncoder model, AnyLoss loss, TrainerOptions options)
    : state_(new State{std::move(model), std::move(loss), std::move(options)}) {
  check_options(state_->options);
  check_task(AlignmentTask(state_->model, state_->loss, state_->options), state_->options);
}

Trainer::~Trainer() = default;

void Trainer::on_step(std::function<void(const StepResult&)> callback) {
  check(callback != nullptr, "[Trainer::on_step] callback: expected a function, got an empty one");
  state_->on_step = std::move(callback);
}

void Trainer::on_validation(std::function<void(const ValidationResult&)> callback) {
  check(callback != nullptr, "[Trainer::on_validation] callback: expected a function, got an empty one");
  state_->on_validation = std::move(callback);
}

TrainSummary Trainer::fit(std::shared_ptr<const PairSource> pairs) {
  check(pairs != nullptr, "[Trainer::fit] pairs: expected a data set, got a null pointer");
  return state_->fit(pairs);
}

TrainSummary Trainer::fit(std::shared_ptr<const EpisodeSource> episodes) {
  check(episodes != nullptr, "[Trainer::fit] episodes: expected demonstrations, got a null pointer");
  return state_->fit(episodes);
}

void Trainer::stop() noexcept { state_->stop = true; }

}  // namespace vlalign
