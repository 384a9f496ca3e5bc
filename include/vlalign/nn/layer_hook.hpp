#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace vlalign::nn {

/// Called with the number (from 0) and the output of each of a tower's layers: a ViT's blocks, behind the
/// convolutions of a stem where it has one; an EfficientNet's blocks; a ResNet's stages. What it returns, of the same
/// shape, goes on in the output's place.
using LayerHook = std::function<at::Tensor(std::int64_t layer, const at::Tensor& output)>;

}  // namespace vlalign::nn
