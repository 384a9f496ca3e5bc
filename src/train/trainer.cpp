#include "vlalign/train/trainer.hpp"

#include "alignment_task.hpp"
#include "training_run.hpp"

namespace vlalign {

struct Trainer::State {
  State(DualEncoder model, AnyLoss loss, TrainerOptions how)
      : options(std::move(how)), task(std::move(model), std::move(loss), options) {}

  TrainerOptions options;
  AlignmentTask task;
  TrainingRun run{task, options};
};

Trainer::Trainer(DualEncoder model, AnyLoss loss, TrainerOptions options) {
  prepare(options);
  model.to(options.device);
  state_ = std::make_unique<State>(std::move(model), std::move(loss), std::move(options));
}

Trainer::~Trainer() = default;

void Trainer::on_step(std::function<void(const StepResult&)> callback) { state_->run.on_step(std::move(callback)); }

TrainSummary Trainer::fit(std::shared_ptr<const PairSource> pairs) {
  state_->task.open(pairs);
  return state_->run.fit();
}

}  // namespace vlalign
