#include "nn/live_weights.hpp"

#include <algorithm>
#include <mutex>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn {
namespace {

/// Several owners may share a module, so one for all.
std::mutex& mode_mutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

LiveWeights::LiveWeights(std::shared_ptr<torch::nn::Module> module, const char* owner)
    : module_(std::move(module)), owner_(owner), weights_(module_->parameters()) {
  check_weights();
  {
    const std::lock_guard lock(mode_mutex());
    const auto modules = module_->modules();
    const auto trains = [](const auto& each) { return each->is_training(); };
    if (std::any_of(modules.begin(), modules.end(), trains)) module_->train(false);
  }
  pack();
}

void LiveWeights::evaluate() const {
  const std::lock_guard lock(mode_mutex());
  if (module_->is_training()) module_->train(false);
}

std::uint64_t LiveWeights::version() const {
  std::uint64_t sum = 0;
  for (const auto& weight : weights_) sum += static_cast<std::uint64_t>(weight._version());
  return sum;
}

void LiveWeights::refresh() const {
  check_weights();
  pack();
  for (const auto& weight : module_->parameters()) weight.unsafeGetTensorImpl()->bump_version();
}

void LiveWeights::check_weights() const {
  const auto check_one = [this](const std::string& name, const at::Tensor& weight) {
    if (!all_finite(weight)) fail("[{}] {}: expected finite weights, got NaN or infinity", owner_, name);
  };
  for (const auto& item : module_->named_parameters()) {
    if (item.value().is_inference())
      fail("[{}] {}: made in inference mode, in which LibTorch doesn't count changes", owner_, item.key());
    check_one(item.key(), item.value());
  }
  for (const auto& item : module_->named_modules()) {
    const auto norm = std::dynamic_pointer_cast<BatchNorm2d>(item.value());
    if (!norm) continue;
    check_one(item.key() + ".running_mean", norm->running_mean);
    check_one(item.key() + ".running_var", norm->running_var);
  }
}

void LiveWeights::pack() const {
  if (!weights_.empty() && !weights_.front().is_cpu()) return;
  for (const auto& child : module_->modules()) {
    if (const auto linear = std::dynamic_pointer_cast<Linear>(child)) linear->pack();
    if (const auto attention = std::dynamic_pointer_cast<Attention>(child)) attention->pack();
  }
}

}  // namespace vlalign::nn
