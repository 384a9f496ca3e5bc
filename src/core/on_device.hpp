#pragma once

#include <ATen/core/Tensor.h>

namespace vlalign {

/// The tensor there. Towards a GPU the copy goes on beside the program: it does from page-locked memory, and other
/// memory has been read when this returns.
inline at::Tensor on_device(const at::Tensor& tensor, c10::Device device) {
  return tensor.to(tensor.options().device(device), /*non_blocking=*/device.is_cuda());
}

}  // namespace vlalign
