// The steps of a TrainingRun.
#include <ATen/Context.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/log.hpp"
#include "ranks/gather_texts.hpp"
#include "train/gradient_reach.hpp"
#include "train/training_run.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_skipped_in_a_row = 10;

/// Scalars [] with one wait for their device; 0 for those that are undefined, which the first isn't.
template <std::size_t count>
std::array<double, count> read_together(const std::array<at::Tensor, count>& scalars) {
  std::vector<at::Tensor> defined;
  for (const auto& scalar : scalars)
    if (scalar.defined()) defined.push_back(scalar.to(scalars[0].device(), at::kDouble));
  const auto row = at::stack(defined).cpu();
  const auto* next = row.const_data_ptr<double>();
  std::array<double, count> values{};
  for (std::size_t i = 0; i < count; ++i)
    if (scalars[i].defined()) values[i] = *next++;
  return values;
}

}  // namespace

void seed_towers(const TrainerOptions& options, std::int64_t step, std::int64_t place) {
  constexpr std::uint64_t purpose = 0x746f77657273;  // apart from the loader's keys
  Rng rng({options.seed, purpose, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(place)});
  auto generator = at::globalContext().defaultGenerator(options.device);
  generator.set_current_seed(rng.next());
}

StepResult TrainingRun::step() {
  const auto start = std::chrono::steady_clock::now();
  auto result = train_step();
  const bool failed = result.skipped && !overflowed_;
  if (failed) note_non_finite(result);
  if (failed && options_.non_finite == NonFinite::stop) end_at_non_finite();
  if (failed && options_.non_finite == NonFinite::rewind) rewind(result);
  progression_.skipped_steps += failed ? 1 : 0;
  progression_.skipped_in_a_row = failed ? progression_.skipped_in_a_row + 1 : 0;
  check(progression_.skipped_in_a_row < most_skipped_in_a_row,
        "{} for {} steps in a row, up to step {}: try a lower learning rate, a longer warm-up or a gradient clip",
        why_skipped, most_skipped_in_a_row, progression_.step + 1);
  result.pairs_per_s = static_cast<double>(result.samples_seen) / seconds_since(start);
  progression_.samples_seen += result.samples_seen;
  result.step = ++progression_.step;
  result.steps = steps_;
  result.samples_seen = progression_.samples_seen;
  return result;
}

/// Names the batch's records, which may be what is wrong.
void TrainingRun::note_non_finite(const StepResult& result) {
  std::vector<std::string> own;
  for (const auto* batches : task_.batches())
    for (auto& name : batches->names_of_batch()) own.push_back(std::move(name));
  const auto records = ranks_.alone() ? own : gather_texts(ranks_, own);
  if (!folder_) return;
  folder_->log_non_finite({{"step", progression_.step + 1},
                           {"loss", result.loss},
                           {"grad_norm", result.grad_norm},
                           {"policy", to_string(options_.non_finite)},
                           {"records", records}});
}

/// With a checkpoint of what was there before the step.
void TrainingRun::end_at_non_finite() {
  const auto step = progression_.step;
  if (checkpoints_ && step > 0 && checkpoints_->saved() != step) save_checkpoint(/*must=*/true);
  fail(
      "{} in step {}: the run ends with the weights before it{}; resume with another policy for such steps (skip, "
      "rewind) or without the records that cause it",
      why_skipped, step + 1, options_.out.empty() ? "" : ", the step's records are in non_finite.jsonl");
}

/// The weights of the last checkpoint go on behind this step; the steps between are lost.
void TrainingRun::rewind(StepResult& result) {
  constexpr std::int64_t most_rewinds = 10;
  const auto to = checkpoints_ ? checkpoints_->saved() : 0;
  if (to == 0) {
    log_warning("step {}: there is no checkpoint yet to go back to, the step is skipped", progression_.step + 1);
    return;
  }
  rewinds_ = rewound_ > to ? rewinds_ + 1 : 1;
  check(rewinds_ <= most_rewinds,
        "{} for the {}th time behind the checkpoint of step {}: try a lower learning rate, "
        "a longer warm-up or a gradient clip",
        why_skipped, rewinds_, to);
  NamedTensors stored;
  if (folder_)
    folder_->checkpoints().read([this](const auto& checkpoint) { task_.load_weights(checkpoint); }, kept(), stored,
                                steps_, options_.batch_size);
  restore(stored);
  const auto lost = progression_.step - std::max(to, rewound_);  // beside this one
  progression_.skipped_steps += lost;
  rewound_ = progression_.step + 1;
  result.rewound_to = to;
  log_warning("step {}: goes on with the weights of step {}; {} step(s) between are lost", progression_.step + 1, to,
              lost);
}

StepResult TrainingRun::train_step() {
  const auto step = progression_.step;
  const auto start = std::chrono::steady_clock::now();
  const auto waited = ranks_.seconds_waited();
  optimizer_.zero_grad();  // what was there before isn't this step's
  buffers_.keep();
  const auto figures = forward_backward(step);
  exchange_.finish();
  if (step == 0) check_reach(task_.module(), towers_of(task_));
  average_buffers(ranks_, buffers_.watched(), figures.known.samples_seen);
  auto result = figures.known;
  if (scaler_.is_active()) {
    auto gradients = optimizer_.gradients();
    scaler_.unscale(gradients);
  }
  const auto norm = optimizer_.grad_norm();
  const auto own_seconds = seconds_since(start) - (ranks_.seconds_waited() - waited);
  const auto largest_buffer = read_figures(figures, norm, own_seconds, result);
  share_bad_records();
  result.learning_rate = options_.learning_rate * learning_rate_factor(options_.schedule, step, steps_);
  const auto loss = result.loss, grad_norm = result.grad_norm;
  const bool finite = std::isfinite(loss) && std::isfinite(grad_norm);
  overflowed_ = scaler_.update() && std::isfinite(loss);
  result.skipped = !finite || !std::isfinite(largest_buffer);
  if (overflowed_) {
    log_info("step {}: a gradient was too large for float16, the step is skipped and the loss scale halved", step + 1);
  } else if (!finite) {
    log_warning("step {}: loss {} or gradient norm {} is not finite, the step is skipped", step + 1, loss, grad_norm);
  } else if (result.skipped) {
    log_warning("step {}: {} is no longer finite, the step is skipped", step + 1, buffers_.first_not_finite());
  }
  const bool measures = folder_ && norms_ && (step + 1) % options_.norms_every == 0;
  if (measures) norms_->before();
  if (result.skipped) {
    buffers_.restore();
  } else {
    update(ranks_.alone() ? norm : at::full_like(norm, grad_norm), result.learning_rate);
  }
  if (measures) folder_->log_norms(step + 1, *norms_);
  optimizer_.zero_grad();
  return result;
}

/// At the sizes of the step's stage, which the model has as long as this takes.
StepFigures TrainingRun::forward_backward(std::int64_t step) {
  const auto& stage = stages_->at(step);
  if (stages_->begins_at(step)) log_info("step {}: {}", step + 1, stages_->description(step));
  task_.enter(stage, step);
  const StageInPlace in_place(*task_.encoder().module(), stage);
  const auto progress = static_cast<double>(step) / static_cast<double>(steps_);
  return task_.forward_backward(step, progress, scaler_, exchange_);
}

/// Into the result, the whole batch's; returns the largest number in a buffer.
double TrainingRun::read_figures(const StepFigures& figures, const at::Tensor& norm, double own_seconds,
                                 StepResult& result) {
  const auto [loss, logit_scale, accuracy, action_loss, grad_norm, largest_buffer] = read_together<6>(
      {figures.loss, figures.logit_scale, figures.accuracy, figures.action_loss, norm, buffers_.largest()});
  SharedFigures shared{loss, logit_scale, accuracy, action_loss, grad_norm, largest_buffer, {own_seconds}};
  share_figures(ranks_, shared, result);
  if (!ranks_.alone()) slow_rank_.note(ranks_, shared.own_seconds);
  result.loss = shared.loss;
  result.logit_scale = shared.logit_scale;
  result.accuracy = shared.accuracy;
  if (figures.action_loss.defined()) result.action_loss = shared.action_loss;
  result.grad_norm = shared.grad_norm;
  return shared.largest_buffer;
}

/// A record is bad for all ranks when one of them could not read it.
void TrainingRun::share_bad_records() {
  if (ranks_.alone()) return;
  for (auto* batches : task_.batches()) {
    const auto own = batches->new_bad_records();
    if (!any_of_ranks(ranks_, !own.empty())) continue;
    batches->add_bad_records(gather_texts(ranks_, own));
    batches->check_bad_records();
  }
}

void TrainingRun::update(const at::Tensor& grad_norm, double learning_rate) {
  if (options_.grad_clip) optimizer_.clip_grad_norm(grad_norm, *options_.grad_clip);
  optimizer_.step(learning_rate);
  auto& towers = *task_.encoder().module();
  const auto& scale = towers.temperature.defined() ? towers.temperature : towers.log_logit_scale;
  if (optimizer_.moves(scale, learning_rate)) towers.clamp_logit_scale();
  if (average_) average_->update();
}

}  // namespace vlalign
