#include "freezing.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "core/glob.hpp"

namespace vlalign {
namespace {

using Side = nn::DualEncoderImpl::Place::Side;

void check_unlocked(const nn::DualEncoderImpl& module, const char* option, const char* tower,
                    const std::optional<std::int64_t>& unlocked) {
  if (!unlocked) return;
  const auto groups = module.place_of(tower)->groups;
  check(*unlocked >= 0 && *unlocked <= groups, "[FineTuning] {}: expected 0 to {} unlocked groups, got {}", option,
        groups, *unlocked);
}

bool is_locked(const nn::DualEncoderImpl& module, const std::string& name, const FineTuning& how) {
  const auto place = module.place_of(name);
  if (!place) return false;
  const auto& unlocked = place->side == Side::image ? how.lock_image : how.lock_text;
  return unlocked && place->group < place->groups - *unlocked;
}

std::vector<std::shared_ptr<nn::BatchNorm2d>> frozen_norms(const nn::DualEncoderImpl& module, const FineTuning& how) {
  std::vector<std::shared_ptr<nn::BatchNorm2d>> norms;
  if (!how.freeze_batch_norm) return norms;
  const bool all = !how.lock_image && !how.lock_text;
  for (const auto& item : module.named_modules(/*name_prefix=*/{}, /*include_self=*/false)) {
    const auto norm = std::dynamic_pointer_cast<nn::BatchNorm2d>(item.value());
    if (norm && !norm->frozen && (all || is_locked(module, item.key(), how))) norms.push_back(norm);
  }
  if (norms.empty()) spdlog::warn("freeze_batch_norm: there is no batch norm to freeze");
  return norms;
}

bool fits_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return fits(name, pattern); });
}

}  // namespace

Freezing::Freezing(const nn::DualEncoderImpl& module, const FineTuning& how) {
  check_unlocked(module, "lock_image", "visual.", how.lock_image);
  check_unlocked(module, "lock_text", "text.", how.lock_text);
  const auto parameters = module.named_parameters();
  for (const auto& pattern : how.freeze) {
    const auto keys = parameters.keys();
    check(std::any_of(keys.begin(), keys.end(), [&](const auto& name) { return fits(name, pattern); }),
          "[FineTuning] freeze: no parameter fits \"{}\"; `vlalign inspect --parameters` lists them", pattern);
  }
  norms_ = frozen_norms(module, how);
  for (const auto& item : parameters) {
    if (is_locked(module, item.key(), how) || fits_any(item.key(), how.freeze)) parameters_.push_back(item.value());
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

std::map<std::string, double> learning_rate_factors(const nn::DualEncoderImpl& module, double layer_decay) {
  check(layer_decay >= 0 && layer_decay <= 1, "[FineTuning] layer_decay: expected 0 to 1, got {}", layer_decay);
  std::map<std::string, double> factors;
  for (const auto& item : module.named_parameters()) {
    const auto place = module.place_of(item.key());
    if (!place) continue;
    const auto above = place->groups - 1 - place->group;
    factors[item.key()] = std::pow(layer_decay, static_cast<double>(above));
  }
  return factors;
}

}  // namespace vlalign
