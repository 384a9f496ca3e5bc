#include "train/loss_scaler.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

namespace vlalign {

LossScaler::LossScaler(Precision precision, c10::Device device) {
  constexpr double first_scale = 65536;
  if (precision != Precision::fp16) return;
  const auto options = at::TensorOptions().device(device);
  scale_ = at::full({}, first_scale, options.dtype(at::kFloat));
  steps_ = at::zeros({}, options.dtype(at::kInt));
  overflowed_ = at::zeros({}, options.dtype(at::kFloat));
}

at::Tensor LossScaler::scaled(const at::Tensor& loss) const { return is_active() ? loss * scale_ : loss; }

void LossScaler::unscale(std::vector<at::Tensor>& gradients) {
  if (!is_active()) return;
  const at::NoGradGuard no_graph;
  at::_amp_foreach_non_finite_check_and_unscale_(gradients, overflowed_, scale_.reciprocal());
}

bool LossScaler::update() {
  if (!is_active()) return false;
  constexpr double growth = 2, backoff = 0.5, least = 1;
  constexpr std::int64_t steps_to_growth = 2000;
  const bool overflowed = overflowed_.item<float>() > 0 && scale_.item<float>() > least;
  at::_amp_update_scale_(scale_, steps_, overflowed_, growth, backoff, steps_to_growth);
  overflowed_.zero_();
  return overflowed;
}

NamedTensors LossScaler::state() const {
  if (!is_active()) return {};
  return {{"loss_scale", scale_}, {"loss_scale_steps", steps_}};
}

}  // namespace vlalign
