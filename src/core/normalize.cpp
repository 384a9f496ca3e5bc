#include "vlalign/core/normalize.hpp"

#include <ATen/TensorOperators.h>

namespace vlalign {

at::Tensor l2_normalize(const at::Tensor& x) {
  const auto wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  // norm's gradient at a zero row is zero, and clamp_min keeps the division finite.
  return wide / wide.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace vlalign
