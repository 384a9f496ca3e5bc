#include "loss/checked_value.hpp"

#include <ATen/core/grad_mode.h>

#include "core/check.hpp"

namespace vlalign {

at::Tensor checked_value(const ContrastiveLoss& loss, const ContrastiveBatch& batch, std::string_view where) {
  auto value = loss.forward(batch);
  check(value.defined() && value.dim() == 0 && value.is_floating_point(),
        "{}the loss is not a floating scalar [], but {} {}", where,
        value.defined() ? c10::toString(value.scalar_type()) : "none",
        value.defined() ? value.sizes().vec() : std::vector<std::int64_t>());
  check(value.requires_grad() || !at::GradMode::is_enabled(),
        "{}the loss has no gradient: expected a scalar computed from the batch, got a constant or a detached tensor",
        where);
  return value;
}

}  // namespace vlalign
