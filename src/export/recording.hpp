// The operators that a computation runs, as LibTorch's tracer sees them. Internal.
#pragma once

#include <torch/nn/module.h>

#include <functional>
#include <string>
#include <vector>

#include "export/program.hpp"

namespace vlalign::onnx {

struct NamedInput {
  std::string name;
  at::Tensor tensor;
};

using Computation = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// Runs a computation once and writes down its operators; sizes are constants. A tensor that it reads is an input, a
/// parameter or a buffer of the module, or a constant.
///   what: of which errors speak, such as "the text tower"
/// Throws Error for an operator that writes into a part of a tensor which others see, since a graph has no such thing.
Program record(const torch::nn::Module& module, const std::vector<NamedInput>& inputs, const Computation& computation,
               const std::string& what);

}  // namespace vlalign::onnx
