#pragma once

#include <c10/core/ScalarType.h>

#include "vlalign/core/device.hpp"

namespace vlalign {

/// What towers compute in; int8, in which only some of their products are, is for nn::compute_dtype().
inline at::ScalarType dtype_of(Precision precision) {
  if (precision == Precision::fp16) return at::kHalf;
  return precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
}

}  // namespace vlalign
