// Evaluation for a while. Internal.
#pragma once

#include <ATen/core/grad_mode.h>
#include <torch/nn/module.h>

#include <memory>
#include <vector>

namespace vlalign::nn {

/// No gradients, and every module below in evaluation mode; each module's own mode comes back at the end.
class Evaluating {
 public:
  explicit Evaluating(torch::nn::Module& module);
  Evaluating(const Evaluating&) = delete;
  Evaluating& operator=(const Evaluating&) = delete;
  ~Evaluating();

 private:
  std::vector<std::shared_ptr<torch::nn::Module>> modules_;
  std::vector<bool> was_training_;
  at::NoGradGuard no_grad_;
};

}  // namespace vlalign::nn
