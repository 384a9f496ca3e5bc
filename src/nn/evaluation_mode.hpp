// Evaluation for a while. Internal.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <vector>

namespace vlalign::nn {

/// A module and all below it are in evaluation mode as long as this lives; then each has its own mode back.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& module);
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;
  ~EvaluationMode();

 private:
  torch::nn::Module& module_;
  bool was_training_;
  std::vector<std::shared_ptr<torch::nn::Module>> below_;
  std::vector<bool> below_was_training_;
};

}  // namespace vlalign::nn
