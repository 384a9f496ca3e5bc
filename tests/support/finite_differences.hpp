#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn_like.h>

#include <algorithm>
#include <functional>
#include <vector>

namespace vlalign::test {

/// How far the gradient of loss() is from central differences, along a random direction of each of `inputs`, float64
/// tensors that loss() reads: the largest difference, relative where the slope is above 1.
inline double gradient_error(std::vector<at::Tensor> inputs, const std::function<at::Tensor()>& loss) {
  constexpr double step = 1e-6;
  for (auto& input : inputs) {
    input.set_requires_grad(true);
    input.mutable_grad().reset();
  }
  loss().backward();
  const at::NoGradGuard no_graph;
  double worst = 0;
  for (auto& input : inputs) {
    const auto direction = at::randn_like(input), here = input.clone();
    const auto value_at = [&](double offset) {
      input.copy_(here + offset * direction);
      return loss().item<double>();
    };
    const double slope = (value_at(step) - value_at(-step)) / (2 * step);
    input.copy_(here);
    const double given = input.grad().defined() ? (input.grad() * direction).sum().item<double>() : 0.0;
    worst = std::max(worst, std::abs(given - slope) / std::max(1.0, std::abs(slope)));
  }
  return worst;
}

}  // namespace vlalign::test
