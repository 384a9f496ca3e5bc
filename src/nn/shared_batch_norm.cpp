#include "nn/shared_batch_norm.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <utility>

namespace vlalign::nn {
namespace {

/// [C] as [1, C, 1, 1].
Tensor of_channels(const Tensor& numbers) { return numbers.view({1, -1, 1, 1}); }

/// The sum over all ranks' pixels that count, float64 [C] of [b, C, H, W], as LibTorch's own on a CPU.
Tensor sum_of_pixels(const BatchNorm2d& norm, const Tensor& x) {
  auto own = x.sum(at::IntArrayRef{0, 2, 3}, /*keepdim=*/false, at::kDouble);
  if (!norm.counts) own = own * 0.0;
  return norm.ranks.gather(own.unsqueeze(0)).sum(0);
}

}  // namespace

/// The variance from the differences to the mean: that of the squares would lose what float32 can't hold.
Tensor batch_norm_over_ranks(const Tensor& x, const BatchNorm2d& norm) {
  const auto dtype = norm.weight.scalar_type();
  const auto own = at::full({1}, norm.counts ? x.numel() / x.size(1) : 0, at::kLong);
  const auto count = static_cast<double>(norm.ranks.gather(own).sum().item<std::int64_t>());
  const auto mean = sum_of_pixels(norm, x) / count;
  const auto centred = x.to(dtype) - of_channels(mean.to(dtype));
  const auto variance = sum_of_pixels(norm, centred.square()) / count;
  {
    const at::NoGradGuard no_graph;
    norm.running_mean.lerp_(mean.to(dtype), norm.momentum());
    norm.running_var.lerp_((variance * (count / std::max(1.0, count - 1))).to(dtype), norm.momentum());
  }
  const auto scale = norm.weight * (variance + norm.eps()).rsqrt().to(dtype);
  return (centred * of_channels(scale) + of_channels(norm.bias)).to(x.scalar_type());
}

std::vector<std::shared_ptr<BatchNorm2d>> batch_norms(const torch::nn::Module& module) {
  std::vector<std::shared_ptr<BatchNorm2d>> norms;
  for (const auto& part : module.modules(/*include_self=*/false))
    if (auto norm = std::dynamic_pointer_cast<BatchNorm2d>(part)) norms.push_back(std::move(norm));
  return norms;
}

UncountedRows::UncountedRows(const torch::nn::Module& module) : norms_(batch_norms(module)) {
  for (const auto& norm : norms_) norm->counts = false;
}

UncountedRows::~UncountedRows() {
  for (const auto& norm : norms_) norm->counts = true;
}

}  // namespace vlalign::nn
