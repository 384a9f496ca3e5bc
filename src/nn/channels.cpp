#include "nn/channels.hpp"

#include <ATen/cpu/Utils.h>

namespace vlalign::nn {

at::ScalarType convolution_dtype(at::ScalarType compute, const Tensor& pixels) {
  const bool slow = compute == at::kBFloat16 && pixels.is_cpu() && !at::cpu::is_avx512_vnni_supported();
  return slow ? at::kFloat : compute;
}

}  // namespace vlalign::nn
