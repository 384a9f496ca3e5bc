#include "vlalign/loss/vip.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"
#include "loss/video.hpp"

namespace vlalign {

VIP::VIP(const Options& options) : options_(options) { check_discount(options.gamma, "VIP"); }

std::string VIP::options() const { return fmt::format("gamma={}", options_.gamma); }

at::Tensor VIP::forward(const ContrastiveBatch& batch) const {
  const auto frames = checked_frames(batch, "VIP", 4, frames_of_value);
  const auto values = -(frames.narrow(1, 0, 3) - frames.narrow(1, 3, 1)).norm(2, 2);  // [B, 3]
  return value_loss(values.select(1, 0), values.select(1, 1), values.select(1, 2), options_.gamma);
}

}  // namespace vlalign
