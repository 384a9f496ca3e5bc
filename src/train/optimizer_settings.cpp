#include "train/optimizer_settings.hpp"

#include <nlohmann/json.hpp>

namespace vlalign {
namespace {

using nlohmann::json;

json to_json(const AdamWOptions& o) {
  return {{"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}, {"weight_decay", o.weight_decay}};
}

json to_json(const LambOptions& o) {
  return {{"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}, {"weight_decay", o.weight_decay}};
}

json to_json(const LionOptions& o) {
  return {{"beta1", o.beta1}, {"beta2", o.beta2}, {"weight_decay", o.weight_decay}};
}

json to_json(const MuonOptions& o) {
  return {{"momentum", o.momentum},
          {"newton_schulz", o.newton_schulz},
          {"weight_decay", o.weight_decay},
          {"rest", to_json(o.rest)}};
}

}  // namespace

json settings_of(const OptimizerOptions& options) {
  const std::string name(to_string(options));
  json all{{"optimizer", name}};
  const auto own = std::visit([](const auto& o) { return to_json(o); }, options);
  if (std::holds_alternative<AdamWOptions>(options))
    all.update(own);
  else
    all[name] = own;
  return all;
}

json settings_of(const Schedule& schedule, std::int64_t steps) {
  json all{{"schedule", to_string(schedule.shape)}, {"warmup", warmup_steps(schedule, steps)}};
  if (schedule.shape == Schedule::Shape::constant_cooldown) all["cooldown_share"] = schedule.cooldown_share;
  return all;
}

}  // namespace vlalign
