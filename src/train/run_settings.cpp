#include "train/run_settings.hpp"

#include <ATen/Parallel.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "model/peers/config_json.hpp"
#include "train/optimizer_settings.hpp"
#include "train/run_identity.hpp"
#include "vlalign/model/lora.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

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

/// The files that describe the model in its own layout, by name.
json config_of(const DualEncoder& model) {
  auto files = json::object();
  for (const auto& file : config_files(model.config())) files[file.name] = json::parse(file.text);
  return files;
}

}  // namespace

json run_settings(const Task& task, const TrainerOptions& o, std::int64_t steps, const RunStages& stages) {
  // One that no layout holds has no config, and weights all the same.
  const auto described = [&](const DualEncoder& model) { return o.out.empty() ? json() : config_of(model); };
  json all{{"data", o.data_name},
           {"model", described(task.encoder())},
           {"lora", lora_of(task.encoder())},
           {"fine_tuning", to_json(o.fine_tuning)},
           {"ema_decay", to_json(o.ema_decay)},
           {"targets", o.targets ? json(o.targets->name) : json()},
           {"teacher", o.teacher ? described(*o.teacher) : json()},
           {"steps", steps},
           {"stages", stages.settings()},
           {"batch_size", o.batch_size},
           {"micro_batch", o.micro_batch},
           {"lr", o.learning_rate},
           {"grad_clip", to_json(o.grad_clip)},
           {"precision", to_string(o.precision)},
           {"augmentation", to_json(o.augmentation)},
           {"shuffle", o.shuffle},
           {"shuffle_block", o.shuffle_block},
           {"replacement", o.replacement},
           {"seed", o.seed},
           {"device", o.device.str()},
           {"threads", at::get_num_threads()},
           {"ranks", o.ranks.size()},
           {"sync_batch_norm", o.sync_batch_norm},
           {"non_finite", to_string(o.non_finite)},
           {"shard_optimizer", o.shard_optimizer}};
  all.update(settings_of(o.optimizer));
  all.update(settings_of(o.schedule, steps));
  all.update(task.settings());
  auto& identity = all["identity"] = task.identity();
  identity["teacher_weights"] = o.teacher ? json(fingerprint_of(*o.teacher->module())) : json();
  identity["start_weights"] = fingerprint_of(task.module());
  return all;
}

}  // namespace vlalign
