// Gradients averaged over ranks. Internal.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// A module's parameters that require a gradient, from the input to the output: the image tower with its projection,
/// the text tower with its own, all others.
///   prefix: of the names of the dual encoder's parameters
std::vector<at::Tensor> trained_parameters(const torch::nn::Module& module, const std::string& prefix = {});

/// Averages the gradients of parameters over the ranks, in buckets that travel while the backward pass goes on with
/// those behind them (Li et al. 2020, PyTorch Distributed). A parameter has a gradient afterwards where it has one on
/// any rank, the same bits on each, and dense ones. Does nothing for a rank alone.
class GradientExchange {
 public:
  /// parameters: the same on all ranks and in the same order, from the input to the output; their gradients are
  /// expected in the reverse order
  GradientExchange(const Ranks& ranks, std::vector<at::Tensor> parameters);
  GradientExchange(const GradientExchange&) = delete;
  GradientExchange& operator=(const GradientExchange&) = delete;
  ~GradientExchange();

  /// To be called before the step's last backward pass: gradients are sent as they come.
  void arm();
  /// Waits for all, and puts the averages in the place of the gradients.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
