#include "train/freezing.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/glob.hpp"
#include "core/log.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign {
namespace {

using Side = nn::DualEncoderImpl::Place::Side;

void check_unlocked(const nn::DualEncoderImpl& towers, const char* option, const char* tower,
                    const std::optional<std::int64_t>& unlocked) {
  if (!unlocked) return;
  const auto groups = towers.place_of(tower)->groups;
  check(*unlocked >= 0 && *unlocked <= groups, "[FineTuning] {}: expected 0 to {} unlocked groups, got {}", option,
        groups, *unlocked);
}

bool is_locked(const Towers& towers, const std::string& name, const FineTuning& how) {
  const auto place = towers.place_of(name);
  if (!place) return false;
  const auto& unlocked = place->side == Side::image ? how.lock_image : how.lock_text;
  return unlocked && place->group < place->groups - *unlocked;
}

std::vector<std::shared_ptr<nn::BatchNorm2d>> frozen_norms(const torch::nn::Module& module, const Towers& towers,
                                                           const FineTuning& how) {
  std::vector<std::shared_ptr<nn::BatchNorm2d>> norms;
  if (!how.freeze_batch_norm) return norms;
  const bool all = !how.lock_image && !how.lock_text;
  for (const auto& item : module.named_modules(/*name_prefix=*/{}, /*include_self=*/false)) {
    const auto norm = std::dynamic_pointer_cast<nn::BatchNorm2d>(item.value());
    if (norm && !norm->frozen && (all || is_locked(towers, item.key(), how))) norms.push_back(norm);
  }
  return norms;
}

void check_fits_something(const torch::nn::Module& module, const char* option, const std::string& pattern) {
  const auto names = module.named_parameters().keys();
  check(std::any_of(names.begin(), names.end(), [&](const auto& name) { return fits(name, pattern); }),
        "[FineTuning] {}: no parameter fits \"{}\"; `vlalign inspect --parameters` lists them", option, pattern);
}

bool fits_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return fits(name, pattern); });
}

}  // namespace

std::optional<nn::DualEncoderImpl::Place> Towers::place_of(std::string_view name) const {
  if (!name.starts_with(prefix)) return {};
  return module.place_of(name.substr(prefix.size()));
}

Freezing::Freezing(const torch::nn::Module& module, const Towers& towers, const FineTuning& how) {
  check_unlocked(towers.module, "lock_image", "visual.", how.lock_image);
  check_unlocked(towers.module, "lock_text", "text.", how.lock_text);
  for (const auto& pattern : how.freeze) check_fits_something(module, "freeze", pattern);
  norms_ = frozen_norms(module, towers, how);
  for (const auto& item : module.named_parameters()) {
    if (is_locked(towers, item.key(), how) || fits_any(item.key(), how.freeze)) parameters_.push_back(item.value());
  }
  for (const auto& norm : norms_) {
    norm->frozen = true;
    parameters_.insert(parameters_.end(), {norm->weight, norm->bias});
  }
  std::erase_if(parameters_, [](const auto& parameter) { return !parameter.requires_grad(); });
  for (const auto& parameter : parameters_) parameter.set_requires_grad(false);
}

Freezing::~Freezing() {
  for (const auto& parameter : parameters_) parameter.set_requires_grad(true);
  for (const auto& norm : norms_) norm->frozen = false;
}

void check_fine_tuning(const torch::nn::Module& module, const Towers& towers, const FineTuning& how) {
  const Freezing frozen(module, towers, how);
  learning_rate_factors(module, towers, how);
  for (const auto& [name, lora] : nn::adapters(module))
    check(!lora->is_merged(), "[Trainer] the model's adapter is merged: call unmerge_lora() first");
  const auto parameters = module.parameters();
  check(std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.requires_grad(); }),
        "[Trainer] every parameter of the model is frozen");
}

std::map<std::string, double> learning_rate_factors(const torch::nn::Module& module, const Towers& towers,
                                                    const FineTuning& how) {
  check(how.layer_decay >= 0 && how.layer_decay <= 1, "[FineTuning] layer_decay: expected 0 to 1, got {}",
        how.layer_decay);
  for (const auto& rate : how.rates) {
    check_fits_something(module, "rates", rate.pattern);
    check(std::isfinite(rate.factor) && rate.factor >= 0, "[FineTuning] rates: expected 0 or more for \"{}\", got {}",
          rate.pattern, rate.factor);
  }
  std::map<std::string, double> factors;
  for (const auto& item : module.named_parameters()) {
    const auto& name = item.key();
    const auto place = towers.place_of(name);
    const auto above = place ? place->groups - 1 - place->group : 0;
    factors[name] = std::pow(how.layer_decay, static_cast<double>(above));
    for (const auto& rate : how.rates) {
      if (fits(name, rate.pattern)) factors[name] *= rate.factor;
    }
  }
  return factors;
}

}  // namespace vlalign
