#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace vlalign::nn {

/// Called with the number (from 0) and the output of each of a tower's layers: blocks of a ViT and an EfficientNet,
/// stages of a ResNet. What it returns, of the same shape, goes on in the output's place.
using LayerHook = std::function<at::Tensor(std::int64_t layer, const at::Tensor& output)>;

}  // namespace vlalign::nn
