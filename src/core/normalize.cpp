#include "vlalign/core/normalize.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"

namespace vlalign {

at::Tensor l2_normalize(const at::Tensor& x) {
  const bool fits = x.defined() && x.dim() > 0 && x.is_floating_point();
  if (!fits)  // a control loop comes here with each frame
    fail("[l2_normalize] x: expected floating [..., D], got {}",
         x.defined() ? fmt::format("{} {}", c10::toString(x.scalar_type()), x.sizes()) : "none");
  const auto wide = x.scalar_type() == at::kDouble ? x : x.to(at::kFloat);
  // norm's gradient at a zero row is zero, and clamp_min keeps the division finite.
  return wide / wide.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace vlalign
