#include "vlalign/train/trainer.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "batch_feed.hpp"
#include "core/check.hpp"
#include "freezing.hpp"
#include "model/config_json.hpp"
#include "run_folder.hpp"
#include "vlalign/loss/gradient_cache.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/lora.hpp"
#include "vlalign/train/schedule.hpp"
#include "weight_average.hpp"

namespace vlalign {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t most_skipped_in_a_row = 10;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

AdamW::NamedParameters named_parameters(const nn::DualEncoderImpl& module) {
  AdamW::NamedParameters all;
  for (const auto& item : module.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
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

template <typename T>
json to_json(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json to_json(const FineTuning& f) {
  return {{"freeze", f.freeze},
          {"lock_image", to_json(f.lock_image)},
          {"lock_text", to_json(f.lock_text)},
          {"freeze_batch_norm", f.freeze_batch_norm},
          {"layer_decay", f.layer_decay}};
}

/// The files that describe the model in its own layout, by name.
json config_of(const DualEncoder& model) {
  auto files = json::object();
  for (const auto& file : config_files(model.config())) files[file.name] = json::parse(file.text);
  return files;
}

json lora_of(const DualEncoder& model) {
  const auto options = lora_options(model);
  return options ? json::parse(to_json(*options)) : json();
}

void check_trainable(const nn::DualEncoderImpl& module) {
  for (const auto& [name, lora] : nn::adapters(module))
    check(!lora->is_merged(), "[Trainer] the model's adapter is merged: call unmerge_lora() first");
  const auto parameters = module.parameters();
  check(std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.requires_grad(); }),
        "[Trainer] every parameter of the model is frozen");
}

/// The towers' statistics as they are now.
class BatchNormStatistics {
 public:
  explicit BatchNormStatistics(const nn::DualEncoderImpl& module) {
    for (const auto& buffer : module.buffers()) saved_.emplace_back(buffer, buffer.clone());
  }

  void restore() const {
    const at::NoGradGuard no_graph;
    for (const auto& [buffer, before] : saved_) buffer.copy_(before);
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> saved_;
};

}  // namespace

struct Trainer::State {
  State(DualEncoder trained, AnyLoss with, TrainerOptions how)
      : model(std::move(trained)), loss(std::move(with)), options(std::move(how)) {
    check_trainable(*model.module());
    if (options.ema_decay) average.emplace(*model.module(), *options.ema_decay);
  }

  DualEncoder model;
  AnyLoss loss;
  TrainerOptions options;
  std::function<void(const StepResult&)> on_step = [](const StepResult&) {};

  BatchFeed feed{model, *loss, options};
  Freezing freezing{*model.module(), options.fine_tuning};
  AdamW optimizer{named_parameters(*model.module()), options.adamw,
                  learning_rate_factors(*model.module(), options.fine_tuning.layer_decay)};
  std::optional<WeightAverage> average;
  std::int64_t steps = 0, warmup = 0;
  Progression progression;

  void plan(std::int64_t batches_per_epoch);
  json settings(const PairSource& pairs) const;
  NamedTensors tensors() const;
  void save_checkpoint(RunFolder& folder);
  StepResult step(const PairBatch& batch);
  StepResult train_step(const PairBatch& batch);
  std::pair<ContrastiveBatch, at::Tensor> forward_backward(const PairBatch& batch);
  std::pair<ContrastiveBatch, at::Tensor> forward_backward_in_pieces(const PairBatch& batch);
  double progress() const { return static_cast<double>(progression.step) / static_cast<double>(steps); }
  void seed_towers(std::int64_t piece) const;
};

Trainer::Trainer(DualEncoder model, AnyLoss loss, TrainerOptions options) {
  check_options(options);
  if (options.threads > 0) at::set_num_threads(options.threads);
  model.to(options.device);
  if (options.teacher) {
    options.teacher->to(options.device);
    options.teacher->train(false);
  }
  state_ = std::make_unique<State>(std::move(model), std::move(loss), std::move(options));
}

Trainer::~Trainer() = default;

void Trainer::on_step(std::function<void(const StepResult&)> callback) { state_->on_step = std::move(callback); }

TrainSummary Trainer::fit(std::shared_ptr<const PairSource> pairs) {
  auto& s = *state_;
  const auto start = Clock::now();
  Loader loader(pairs, s.model.tokenizer(), s.model.config().text.context_length, s.model.config().preprocess,
                {.batch_size = s.options.batch_size,
                 .threads = s.options.loader_threads,
                 .shuffle = s.options.shuffle,
                 .seed = s.options.seed,
                 .augmentation = s.options.augmentation,
                 .second_view = s.loss->uses().second_image});
  s.plan(loader.batches_per_epoch());

  std::optional<RunFolder> folder;
  if (!s.options.out.empty()) {
    folder.emplace(s.options.out, s.settings(*pairs), s.options.resume);
    s.progression = folder->restore(s.model, s.tensors());
  }
  loader.seek(s.progression.step);
  s.model.train();

  TrainSummary summary;
  summary.last.step = s.progression.step;
  summary.last.steps = s.steps;
  summary.last.samples_seen = s.progression.samples_seen;
  while (s.progression.step < s.steps) {
    summary.last = s.step(loader.next());
    if (folder) folder->log(summary.last);
    s.on_step(summary.last);
    const bool due = s.options.checkpoint_every > 0 && s.progression.step % s.options.checkpoint_every == 0;
    const bool over = s.progression.step == s.steps;
    if (folder && (due || over)) s.save_checkpoint(*folder);
  }
  s.model.train(false);
  if (folder) folder->save_model(s.model);
  summary.skipped_steps = s.progression.skipped_steps;
  summary.bad_records = loader.bad_records();
  summary.seconds = seconds_since(start);
  return summary;
}

void Trainer::State::plan(std::int64_t batches_per_epoch) {
  steps = options.steps.value_or(options.epochs * batches_per_epoch);
  warmup = options.warmup.value_or(std::min<std::int64_t>(2000, steps / 10));
  check(warmup < steps, "[Trainer] warmup: {} steps leave none of the run's {}", warmup, steps);
}

/// Whatever decides the bits of the run; a resumed run must agree in all of it.
json Trainer::State::settings(const PairSource& pairs) const {
  const auto& o = options;
  return {{"data", o.data_name},
          {"pairs", pairs.size()},
          {"model", config_of(model)},
          {"lora", lora_of(model)},
          {"fine_tuning", to_json(o.fine_tuning)},
          {"ema_decay", to_json(o.ema_decay)},
          {"loss", loss->name()},
          {"targets", o.targets ? json(o.targets->name) : json()},
          {"teacher", o.teacher ? config_of(*o.teacher) : json()},
          {"steps", steps},
          {"warmup", warmup},
          {"batch_size", o.batch_size},
          {"micro_batch", o.micro_batch},
          {"lr", o.learning_rate},
          {"beta1", o.adamw.beta1},
          {"beta2", o.adamw.beta2},
          {"eps", o.adamw.eps},
          {"weight_decay", o.adamw.weight_decay},
          {"grad_clip", to_json(o.grad_clip)},
          {"precision", to_string(o.precision)},
          {"augmentation", to_json(o.augmentation)},
          {"shuffle", o.shuffle},
          {"seed", o.seed},
          {"device", o.device.str()},
          {"threads", at::get_num_threads()}};
}

/// What a checkpoint holds beside the model folder, as views. That folder's weights have the adapter merged in, which
/// can't be taken out again to the same bits: so they are here without it too.
NamedTensors Trainer::State::tensors() const {
  const auto& module = *model.module();
  auto all = optimizer.state();
  if (average) all.merge(average->state());
  all.merge(nn::adapter_tensors(module));
  const auto parameters = module.named_parameters();
  for (const auto& [name, lora] : nn::adapters(module)) all["base." + name] = parameters[name].detach();
  return all;
}

void Trainer::State::save_checkpoint(RunFolder& folder) {
  if (average) {
    average->swap();
    folder.save_model(model, "model-ema");
    average->swap();
  }
  folder.save_checkpoint(progression, model, tensors());
}

StepResult Trainer::State::step(const PairBatch& batch) {
  const auto start = Clock::now();
  auto result = train_step(batch);
  progression.skipped_steps += result.skipped ? 1 : 0;
  progression.skipped_in_a_row = result.skipped ? progression.skipped_in_a_row + 1 : 0;
  check(progression.skipped_in_a_row < most_skipped_in_a_row,
        "loss or gradient was not finite for {} steps in a row, up to step {}: try a lower learning rate, a longer "
        "warm-up or a gradient clip",
        most_skipped_in_a_row, progression.step + 1);
  const auto pairs = static_cast<std::int64_t>(batch.records.size());
  progression.samples_seen += pairs;
  result.step = ++progression.step;
  result.steps = steps;
  result.epoch = batch.epoch;
  result.samples_seen = progression.samples_seen;
  result.wait_s = batch.wait_s;
  result.pairs_per_s = static_cast<double>(pairs) / (seconds_since(start) + batch.wait_s);
  return result;
}

StepResult Trainer::State::train_step(const PairBatch& batch) {
  const auto learning_rate = options.learning_rate * warmup_cosine(progression.step, warmup, steps);
  auto& module = *model.module();
  const auto [encoded, loss_value] =
      options.micro_batch > 0 ? forward_backward_in_pieces(batch) : forward_backward(batch);
  const auto norm = optimizer.grad_norm();

  StepResult result;
  result.learning_rate = learning_rate;
  result.loss = loss_value.item<double>();
  result.grad_norm = norm.item<double>();
  result.logit_scale = module.logit_scale().item<double>();
  result.accuracy = batch_accuracy(encoded.image, encoded.text);
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.grad_norm);
  if (result.skipped) {
    spdlog::warn("step {}: loss {} or gradient norm {} is not finite, the step is skipped", progression.step + 1,
                 result.loss, result.grad_norm);
  } else {
    if (options.grad_clip) optimizer.clip_grad_norm(norm, *options.grad_clip);
    optimizer.step(learning_rate);
    module.clamp_logit_scale();
    if (average) average->update();
  }
  optimizer.zero_grad();
  return result;
}

std::pair<ContrastiveBatch, at::Tensor> Trainer::State::forward_backward(const PairBatch& batch) {
  seed_towers(0);
  auto encoded = feed.encode(batch, 0, batch.pixels.size(0), /*with_teacher=*/true);
  feed.complete(encoded, batch, progress());
  const auto value = loss->forward(encoded);
  value.backward();
  return {encoded, value};
}

/// Random state and batch-norm statistics are as in one pass.
std::pair<ContrastiveBatch, at::Tensor> Trainer::State::forward_backward_in_pieces(const PairBatch& batch) {
  const auto pairs = batch.pixels.size(0);
  const auto pieces = (pairs + options.micro_batch - 1) / options.micro_batch;
  const BatchNormStatistics statistics(*model.module());
  ContrastiveBatch whole;
  feed.complete(whole, batch, progress());
  const auto value = backward_in_pieces(
      *loss, pieces,
      [&](std::int64_t piece) {
        const bool first_pass = !at::GradMode::is_enabled();
        const auto begin = piece * options.micro_batch;
        if (!first_pass && piece == 0) statistics.restore();
        seed_towers(begin);
        return feed.encode(batch, begin, std::min(options.micro_batch, pairs - begin), /*with_teacher=*/first_pass);
      },
      whole);
  return {whole, value};
}

void Trainer::State::seed_towers(std::int64_t piece) const {
  constexpr std::uint64_t purpose = 0x746f77657273;  // apart from the loader's keys
  Rng rng({options.seed, purpose, static_cast<std::uint64_t>(progression.step), static_cast<std::uint64_t>(piece)});
  auto generator = at::globalContext().defaultGenerator(options.device);
  generator.set_current_seed(rng.next());
}

}  // namespace vlalign
