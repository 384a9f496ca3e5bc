// Internal.
#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// batch_accuracy() as a float64 scalar [] that is still on the device.
at::Tensor accuracy_on_device(const at::Tensor& image, const at::Tensor& text);

}  // namespace vlalign
