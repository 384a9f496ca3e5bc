#include "train/training_run.hpp"

#include <chrono>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "model/savable.hpp"
#include "nn/finite_weights.hpp"
#include "train/last_result.hpp"
#include "train/over_ranks.hpp"
#include "train/run_settings.hpp"
#include "vlalign/nn/lora.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign {
namespace {

Optimizer::NamedParameters named_parameters(const torch::nn::Module& module) {
  Optimizer::NamedParameters all;
  for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
}

std::vector<at::Tensor> parameters_and_buffers(const torch::nn::Module& module) {
  auto all = module.parameters();
  for (const auto& buffer : module.buffers()) all.push_back(buffer);
  return all;
}

}  // namespace

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Towers towers_of(const Task& task) { return {*task.encoder().module(), task.encoder_prefix()}; }

void check_task(const Task& task, const TrainerOptions& options) {
  check_fine_tuning(task.module(), towers_of(task), options.fine_tuning);
  check_stages_fit(options, task.encoder());
}

TrainingRun::TrainingRun(Task& task, const TrainerOptions& options, OnStep on_step, OnValidation on_validation,
                         StopFlag& stop)
    : task_(task),
      options_(options),
      ranks_(options.ranks),
      on_step_(std::move(on_step)),
      on_validation_(std::move(on_validation)),
      stop_(stop),
      scope_(task.module(), options),
      freezing_(task.module(), towers_of(task), options.fine_tuning),
      optimizer_(named_parameters(task.module()), options.optimizer,
                 learning_rate_factors(task.module(), towers_of(task), options.fine_tuning),
                 options.shard_optimizer ? ranks_ : Ranks()),
      exchange_(ranks_, trained_parameters(task.module(), task.encoder_prefix())),
      scaler_(options.precision, options.device),
      validation_(options),
      buffers_(task.module()),
      watch_(options.batch_size) {
  if (options.fine_tuning.freeze_batch_norm && !freezing_.has_norms())
    log_warning("freeze_batch_norm: there is no batch norm to freeze");
  if (options.norms_every > 0) norms_.emplace(task.module(), towers_of(task));
  if (options.ema_decay) average_.emplace(task.module(), *options.ema_decay);
}

TrainSummary TrainingRun::fit() {
  try {
    return train();
  } catch (const std::exception& error) {
    ranks_.fail(error.what());
    throw;
  }
}

TrainSummary TrainingRun::train() {
  const auto start = std::chrono::steady_clock::now();
  stop_ = false;
  check_task(task_, options_);
  plan();
  if (!options_.out.empty()) check_savable(task_.encoder());
  nlohmann::json settings;  // fingerprints of all data among them
  if (!ranks_.alone() || !options_.out.empty()) settings = run_settings(task_, options_, steps_, *stages_);
  if (!ranks_.alone()) {
    auto all = settings;
    all["checkpoint_every"] = options_.checkpoints.every;  // after which all collect
    all["validations"] = validation_.names();
    const auto& v = options_.validation;
    all["validation"] = {v.every, v.best, v.patience, v.guard, v.largest_fall};
    all["checkpoint_minutes"] = options_.checkpoints.every_minutes;
    check_same_on_ranks(ranks_, all);
  }
  if (!options_.out.empty()) open_folder(settings);
  task_.enter(stages_->at(progression_.step), progression_.step);
  for (auto* batches : task_.batches()) batches->seek(progression_.step);

  auto summary = summary_so_far();
  between_steps(summary);  // where a run was interrupted in its validation, that comes first
  while (progression_.step < steps_ && !summary.stopped && !summary.ended_early) {
    task_.module().train();
    summary.last = step();
    task_.module().train(false);
    if (folder_) folder_->log(summary.last);
    if (ranks_.rank() == 0 && !overflowed_)
      for (const auto& line : watch_.note(summary.last)) log_warning("{}", line);
    on_step_(summary.last);
    between_steps(summary);
  }
  check_weights();
  if (folder_ && !summary.stopped) folder_->save_model([this](const auto& place) { task_.write(place); }, "model");
  if (checkpoints_ && !summary.stopped) checkpoints_->check_saved(progression_.step - progression_.skipped_in_a_row);
  finish_mirror(summary);
  ranks_.barrier();  // rank 0 may fail where it writes
  summary.best_step = validation_.best_step();
  summary.skipped_steps = progression_.skipped_steps;
  for (const auto* batches : task_.batches())
    for (auto& fault : batches->bad_records()) summary.bad_records.push_back(std::move(fault));
  summary.seconds = seconds_since(start);
  return summary;
}

TrainSummary TrainingRun::summary_so_far() const {
  TrainSummary summary;
  if (folder_ && progression_.step > 0) summary.last = last_result(options_.out / "metrics.jsonl");
  summary.last.step = progression_.step;
  summary.last.steps = steps_;
  summary.last.samples_seen = progression_.samples_seen;
  return summary;
}

/// What follows behind a step: validation, a checkpoint, the end.
void TrainingRun::between_steps(TrainSummary& summary) {
  const auto step = progression_.step;
  const bool over = step == steps_, failing = progression_.skipped_in_a_row > 0;
  bool stop = any_of_ranks(ranks_, stop_);
  bool best = false;
  if (!failing && !stop && validation_.is_due(step, over)) {
    stop = any_of_ranks(ranks_, !validate());
    best = !stop && leads_and(validation_.is_best());
  }
  const bool patient = options_.validation.patience == 0;
  summary.ended_early = !over && !patient && leads_and(validation_.is_out_of_patience());
  summary.stopped = stop && !summary.ended_early && (!over || validation_.is_due(step, over));
  if (!checkpoints_ || failing || step == 0) return;
  const bool ends = over || summary.stopped || summary.ended_early;
  const bool timed = options_.checkpoints.every_minutes > 0;
  const bool due = ends || best || checkpoints_->is_due(step) || (timed && leads_and(checkpoints_->is_time()));
  if (due && checkpoints_->saved() != step) save_checkpoint(/*must=*/summary.stopped);
  if (!folder_ || !best || checkpoints_->saved() != step) return;
  folder_->checkpoints().name_best(step);
  folder_->checkpoints().prune();  // the best before it
}

/// False where the run is to stop meanwhile.
bool TrainingRun::validate() {
  const ValidationListener listener{.result =
                                        [this](const ValidationResult& result) {
                                          if (folder_) folder_->log(result);
                                          on_validation_(result);
                                        },
                                    .embedded =
                                        [this](const EmbeddedSet& set) {
                                          if (folder_) folder_->show(set);
                                        }};
  const bool is_last = progression_.step == steps_;
  const bool whole = validation_.measure(task_.encoder(), progression_.step, is_last, stop_, listener);
  if (whole) validation_.check_guard();
  return whole;
}

void TrainingRun::plan() {
  if (options_.steps) {
    steps_ = *options_.steps;
  } else {
    const auto batches = task_.batches().front()->batches_per_epoch();
    check(!__builtin_mul_overflow(options_.epochs, batches, &steps_),
          "[Trainer] epochs: expected at most {} of {} steps each, got {}",
          std::numeric_limits<std::int64_t>::max() / batches, batches, options_.epochs);
  }
  warmup_steps(options_.schedule, steps_);  // throws where they don't fit
  stages_.emplace(options_.stages, steps_);
  stages_->warn_of_the_end(task_.encoder());
}

/// With the run's newest checkpoint restored, if there is one.
void TrainingRun::open_folder(const nlohmann::json& settings) {
  NamedTensors stored;
  if (ranks_.rank() == 0) {
    if (!options_.mirror.empty()) mirror_.emplace(options_.out, options_.mirror).prepare(settings, options_.resume);
    folder_.emplace(options_.out, settings, options_.resume, options_.checkpoints);
    if (!options_.recipe.empty()) write_file_atomically(options_.out / "recipe.json", options_.recipe);
    progression_ = folder_->restore([this](const auto& checkpoint) { task_.load_weights(checkpoint); }, kept(), stored,
                                    steps_, options_.batch_size);
    if (mirror_) mirror_->begin();
  }
  share_progression(ranks_, progression_);
  checkpoints_.emplace(ranks_, options_.checkpoints, folder_ ? &*folder_ : nullptr, progression_.step);
  go_on_from_validations();
  if (progression_.step == 0) return;
  restore(stored);
  if (folder_) log_info("{}: goes on behind step {} of {}", options_.out.string(), progression_.step, steps_);
}

/// Rank 0 has read them, and decides.
void TrainingRun::go_on_from_validations() {
  bool done = false;
  if (folder_) {
    const auto step = progression_.step;
    const auto results = folder_->open_validations(step, validation_.names());
    validation_.go_on_from(results, step);
    done = !results.empty() && results.back().step == step;
    auto& checkpoints = folder_->checkpoints();
    const auto best = validation_.best_of(results, [&](auto of) { return checkpoints.has(of); });
    if (best != validation_.best_step())
      log_warning("the best step so far, {} of {}, has no checkpoint any more; of those there are, the best is {}",
                  validation_.best_step(), options_.validation.best, best > 0 ? fmt::format("step {}", best) : "none");
    checkpoints.name_best(best);
    checkpoints.prune();  // what a kill has left
  }
  if (leads_and(done)) validation_.skip(progression_.step);
}

/// On all ranks, from what rank 0 has read: its model's weights, and the others.
void TrainingRun::restore(const NamedTensors& stored) {
  share_tensors(ranks_, parameters_and_buffers(task_.module()));
  const at::NoGradGuard no_graph;
  for (auto& [name, shard] : kept()) shard.distribute(ranks_.rank() == 0 ? stored.at(name) : at::Tensor());
}

/// What a checkpoint holds beside the model folder. That folder's weights have the adapter merged in, which
/// can't be taken out again to the same bits: so they are here without it too.
NamedShards TrainingRun::kept() const {
  const auto& module = task_.module();
  NamedTensors on_each;
  if (average_) on_each.merge(average_->state());
  on_each.merge(scaler_.state());
  on_each.merge(nn::adapter_tensors(module));
  const auto parameters = module.named_parameters();
  for (const auto& [name, lora] : nn::adapters(module)) on_each["base." + name] = parameters[name].detach();
  NamedShards all;
  for (const auto& [name, shard] : optimizer_.state()) {
    if (shard.on_each())
      on_each[name] = shard.own();
    else
      all.emplace(name, shard);
  }
  for (const auto& [name, tensor] : on_each) all.emplace(name, Shard::of_each(tensor, ranks_));
  return all;
}

void TrainingRun::check_weights() const {
  check_finite(task_.module(), fmt::format("the model after step {}", progression_.step));
}

void TrainingRun::save_checkpoint(bool must) {
  check_weights();
  checkpoints_->save(progression_.step, must, [this] { write_checkpoint(); });
  if (mirror_) mirror_->checkpoint_written();
}

void TrainingRun::write_checkpoint() {
  const auto write = [this](const std::filesystem::path& place) { task_.write(place); };
  const auto all = kept();
  if (!folder_) {
    for (const auto& [name, shard] : all) shard.collect();  // as rank 0 asks for them, in the same order
    return;
  }
  folder_->checkpoints().save(progression_, write, all);
  if (!average_) return;
  const AveragesInPlace averages(*average_);
  folder_->save_model(write, "model-ema");
}

/// What the run has come to counts more than its mirror, but is mirrored too.
void TrainingRun::finish_mirror(const TrainSummary& summary) {
  const auto fault = mirror_ ? mirror_->finish(/*over=*/!summary.stopped) : "";
  check_outcome();
  if (folder_) folder_->check_written();
  check(fault.empty(),
        "{}: the mirror isn't whole: {}; the run is, in {}: the same with --resume uploads what is missing",
        options_.mirror, fault, options_.out.string());
}

/// A run that got through its steps may have failed all the same.
void TrainingRun::check_outcome() const {
  const auto& p = progression_;
  constexpr auto advice = "try a lower learning rate, a longer warm-up or a gradient clip";
  check(p.skipped_in_a_row == 0, "the run ended in {} skipped step(s), {}: the model is that of step {}; {}",
        p.skipped_in_a_row, why_skipped, p.step - p.skipped_in_a_row, advice);
  check(2 * p.skipped_steps <= p.step,
        "{} of the run's {} steps were skipped, {}: the model has hardly been trained; {}", p.skipped_steps, p.step,
        why_skipped, advice);
}

/// Rank 0 decides for all.
bool TrainingRun::leads_and(bool yes) const { return any_of_ranks(ranks_, ranks_.rank() == 0 && yes); }

}  // namespace vlalign
