#include "training_run.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/stack.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "gradient_reach.hpp"
#include "model/config_json.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/lora.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t most_skipped_in_a_row = 10;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

AdamW::NamedParameters named_parameters(const torch::nn::Module& module) {
  AdamW::NamedParameters all;
  for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
}

template <typename T>
json to_json(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json to_json(const FineTuning& f) {
  auto rates = json::array();
  for (const auto& rate : f.rates) rates.push_back({rate.pattern, rate.factor});
  return {{"freeze", f.freeze},
          {"rates", rates},
          {"lock_image", to_json(f.lock_image)},
          {"lock_text", to_json(f.lock_text)},
          {"freeze_batch_norm", f.freeze_batch_norm},
          {"layer_decay", f.layer_decay}};
}

json lora_of(const DualEncoder& model) {
  const auto options = lora_options(model);
  return options ? json::parse(to_json(*options)) : json();
}

void check_trainable(const torch::nn::Module& module) {
  for (const auto& [name, lora] : nn::adapters(module))
    check(!lora->is_merged(), "[Trainer] the model's adapter is merged: call unmerge_lora() first");
  const auto parameters = module.parameters();
  check(std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.requires_grad(); }),
        "[Trainer] every parameter of the model is frozen");
}

Towers towers_of(const Task& task) { return {*task.encoder().module(), task.encoder_prefix()}; }

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

void check_options(const TrainerOptions& o) {
  check(o.batch_size > 0, "[Trainer] batch_size: expected a positive number, got {}", o.batch_size);
  check(!o.steps || *o.steps > 0, "[Trainer] steps: expected a positive number, got {}", o.steps.value_or(0));
  check(o.steps || o.epochs > 0, "[Trainer] epochs: expected a positive number, got {}", o.epochs);
  check(std::isfinite(o.learning_rate) && o.learning_rate >= 0, "[Trainer] learning_rate: expected 0 or more, got {}",
        o.learning_rate);
  check(!o.warmup || *o.warmup >= 0, "[Trainer] warmup: expected 0 or more steps, got {}", o.warmup.value_or(0));
  check(!o.grad_clip || *o.grad_clip > 0, "[Trainer] grad_clip: expected a positive norm, got {}",
        o.grad_clip.value_or(0));
  check(o.micro_batch >= 0, "[Trainer] micro_batch: expected 0 or more pairs, got {}", o.micro_batch);
  check(o.checkpoint_every >= 0, "[Trainer] checkpoint_every: expected 0 or more steps, got {}", o.checkpoint_every);
  check(!o.ema_decay || (*o.ema_decay >= 0 && *o.ema_decay < 1), "[Trainer] ema_decay: expected 0 to below 1, got {}",
        o.ema_decay.value_or(0));
  check(!o.resume || !o.out.empty(), "[Trainer] resume: needs the run folder in out");
}

}  // namespace

void prepare(const TrainerOptions& o) {
  check_options(o);
  if (o.threads > 0) at::set_num_threads(o.threads);
  if (!o.teacher) return;
  auto teacher = *o.teacher;
  teacher.to(o.device);
  teacher.train(false);
}

void seed_towers(const TrainerOptions& options, std::int64_t step, std::int64_t place) {
  constexpr std::uint64_t purpose = 0x746f77657273;  // apart from the loader's keys
  Rng rng({options.seed, purpose, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(place)});
  auto generator = at::globalContext().defaultGenerator(options.device);
  generator.set_current_seed(rng.next());
}

json to_json(const Augmentation& a) {
  return {{"crop_scale", a.crop_scale},
          {"crop_ratio", a.crop_ratio},
          {"rotate", a.rotate},
          {"shift", a.shift},
          {"zoom", a.zoom},
          {"flip", a.flip},
          {"brightness", a.brightness},
          {"contrast", a.contrast},
          {"saturation", a.saturation},
          {"hue", a.hue},
          {"grayscale", a.grayscale}};
}

json config_of(const DualEncoder& model) {
  auto files = json::object();
  for (const auto& file : config_files(model.config())) files[file.name] = json::parse(file.text);
  return files;
}

TrainingRun::TrainingRun(Task& task, const TrainerOptions& options)
    : task_(task),
      options_(options),
      freezing_(task.module(), towers_of(task), options.fine_tuning),
      optimizer_(named_parameters(task.module()), options.adamw,
                 learning_rate_factors(task.module(), towers_of(task), options.fine_tuning)),
      buffers_(task.module()) {
  check_trainable(task.module());
  if (options.ema_decay) average_.emplace(task.module(), *options.ema_decay);
}

TrainSummary TrainingRun::fit() {
  const auto start = Clock::now();
  plan();
  std::optional<RunFolder> folder;
  if (!options_.out.empty()) {
    folder.emplace(options_.out, settings(), options_.resume);
    progression_ = folder->restore([this](const auto& checkpoint) { task_.load_weights(checkpoint); }, tensors());
  }
  task_.seek(progression_.step);
  task_.module().train();

  TrainSummary summary;
  summary.last.step = progression_.step;
  summary.last.steps = steps_;
  summary.last.samples_seen = progression_.samples_seen;
  while (progression_.step < steps_) {
    summary.last = step();
    if (folder) folder->log(summary.last);
    on_step_(summary.last);
    const bool due = options_.checkpoint_every > 0 && progression_.step % options_.checkpoint_every == 0;
    const bool over = progression_.step == steps_;
    if (folder && (due || over)) save_checkpoint(*folder);
  }
  task_.module().train(false);
  if (folder) folder->save_model([this](const auto& place) { task_.write(place); }, "model");
  summary.skipped_steps = progression_.skipped_steps;
  summary.bad_records = task_.bad_records();
  summary.seconds = seconds_since(start);
  return summary;
}

void TrainingRun::plan() {
  steps_ = options_.steps.value_or(options_.epochs * task_.batches_per_epoch());
  warmup_ = options_.warmup.value_or(std::min<std::int64_t>(2000, steps_ / 10));
  check(warmup_ < steps_, "[Trainer] warmup: {} steps leave none of the run's {}", warmup_, steps_);
}

/// Whatever decides the bits of the run; a resumed run must agree in all of it.
json TrainingRun::settings() const {
  const auto& o = options_;
  json all{{"data", o.data_name},
           {"model", config_of(task_.encoder())},
           {"lora", lora_of(task_.encoder())},
           {"fine_tuning", to_json(o.fine_tuning)},
           {"ema_decay", to_json(o.ema_decay)},
           {"targets", o.targets ? json(o.targets->name) : json()},
           {"teacher", o.teacher ? config_of(*o.teacher) : json()},
           {"steps", steps_},
           {"warmup", warmup_},
           {"batch_size", o.batch_size},
           {"micro_batch", o.micro_batch},
           {"lr", o.learning_rate},
           {"beta1", o.adamw.beta1},
           {"beta2", o.adamw.beta2},
           {"eps", o.adamw.eps},
           {"weight_decay", o.adamw.weight_decay},
           {"grad_clip", to_json(o.grad_clip)},
           {"precision", to_string(o.precision)},
           {"augmentation", vlalign::to_json(o.augmentation)},
           {"shuffle", o.shuffle},
           {"seed", o.seed},
           {"device", o.device.str()},
           {"threads", at::get_num_threads()}};
  all.update(task_.settings());
  return all;
}

/// What a checkpoint holds beside the model folder, as views. That folder's weights have the adapter merged in, which
/// can't be taken out again to the same bits: so they are here without it too.
NamedTensors TrainingRun::tensors() const {
  const auto& module = task_.module();
  auto all = optimizer_.state();
  if (average_) all.merge(average_->state());
  all.merge(nn::adapter_tensors(module));
  const auto parameters = module.named_parameters();
  for (const auto& [name, lora] : nn::adapters(module)) all["base." + name] = parameters[name].detach();
  return all;
}

void TrainingRun::save_checkpoint(RunFolder& folder) {
  const auto write = [this](const std::filesystem::path& place) { task_.write(place); };
  if (average_) {
    average_->swap();
    folder.save_model(write, "model-ema");
    average_->swap();
  }
  folder.save_checkpoint(progression_, write, tensors());
}

StepResult TrainingRun::step() {
  const auto start = Clock::now();
  auto result = train_step();
  progression_.skipped_steps += result.skipped ? 1 : 0;
  progression_.skipped_in_a_row = result.skipped ? progression_.skipped_in_a_row + 1 : 0;
  check(progression_.skipped_in_a_row < most_skipped_in_a_row,
        "loss or gradient was not finite for {} steps in a row, up to step {}: try a lower learning rate, a longer "
        "warm-up or a gradient clip",
        most_skipped_in_a_row, progression_.step + 1);
  result.pairs_per_s = static_cast<double>(result.samples_seen) / seconds_since(start);
  progression_.samples_seen += result.samples_seen;
  result.step = ++progression_.step;
  result.steps = steps_;
  result.samples_seen = progression_.samples_seen;
  return result;
}

StepResult TrainingRun::train_step() {
  const auto step = progression_.step;
  optimizer_.zero_grad();  // what was there before isn't this step's
  buffers_.keep();
  const auto figures = task_.forward_backward(step, static_cast<double>(step) / static_cast<double>(steps_));
  if (step == 0) check_reach(task_.module(), towers_of(task_));
  const auto norm = optimizer_.grad_norm();
  const auto [loss, logit_scale, accuracy, action_loss, grad_norm, largest_buffer] = read_together<6>(
      {figures.loss, figures.logit_scale, figures.accuracy, figures.action_loss, norm, buffers_.largest()});
  auto result = figures.known;
  result.loss = loss;
  result.logit_scale = logit_scale;
  result.accuracy = accuracy;
  if (figures.action_loss.defined()) result.action_loss = action_loss;
  result.grad_norm = grad_norm;
  result.learning_rate = options_.learning_rate * warmup_cosine(step, warmup_, steps_);
  const bool finite = std::isfinite(loss) && std::isfinite(grad_norm);
  result.skipped = !finite || !std::isfinite(largest_buffer);
  if (!finite) {
    spdlog::warn("step {}: loss {} or gradient norm {} is not finite, the step is skipped", step + 1, loss, grad_norm);
  } else if (result.skipped) {
    spdlog::warn("step {}: {} is no longer finite, the step is skipped", step + 1, buffers_.first_not_finite());
  }
  if (result.skipped) {
    buffers_.restore();
  } else {
    update(norm, result.learning_rate);
  }
  optimizer_.zero_grad();
  return result;
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
