#include "train/weight_average.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>

#include "core/finite.hpp"

namespace vlalign {

WeightAverage::WeightAverage(const torch::nn::Module& module, double decay) : decay_(decay) {
  const auto add = [this](const std::string& name, const at::Tensor& value) {
    names_.push_back(name);
    values_.push_back(value.detach());
    averages_.push_back(value.detach().clone());
  };
  for (const auto& item : module.named_parameters()) {
    if (item.value().requires_grad()) add(item.key(), item.value());
  }
  for (const auto& item : module.named_buffers()) {
    if (item.value().is_floating_point() && all_finite(item.value())) add(item.key(), item.value());
  }
}

void WeightAverage::update() {
  at::NoGradGuard no_grad;
  at::_foreach_lerp_(averages_, values_, 1.0 - decay_);
}

void WeightAverage::swap() {
  at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const auto value = values_[i].clone();
    values_[i].copy_(averages_[i]);
    averages_[i].copy_(value);
  }
}

NamedTensors WeightAverage::state() const {
  NamedTensors state;
  for (std::size_t i = 0; i < names_.size(); ++i) state.emplace("ema." + names_[i], averages_[i]);
  return state;
}

}  // namespace vlalign
