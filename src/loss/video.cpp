#include "loss/video.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>

#include <cmath>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"

namespace vlalign {

at::Tensor checked_frames(const ContrastiveBatch& batch, std::string_view loss, std::int64_t count,
                          std::string_view meaning) {
  const auto& frames = batch.frames;
  check(frames.defined(), "[{}] frames: the batch has none", loss);
  check(frames.dim() == 3 && frames.numel() > 0 && frames.size(1) == count && frames.is_floating_point(),
        "[{}] frames: expected floating [B, {}, D] ({}), got {} {}", loss, count, meaning,
        c10::toString(frames.scalar_type()), frames.sizes().vec());
  checked_own(batch, loss, frames.size(0));
  return widened(frames);
}

at::Tensor value_loss(const at::Tensor& start, const at::Tensor& now, const at::Tensor& next, double gamma) {
  constexpr double reward = -1.0;
  const auto log_mean = (now - gamma * next - reward).logsumexp(0) - std::log(static_cast<double>(now.size(0)));
  return log_mean - (1.0 - gamma) * start.mean();
}

void check_discount(double gamma, std::string_view loss) {
  check(gamma >= 0 && gamma < 1, "[{}] gamma: expected 0 to below 1, got {}", loss, gamma);
}

}  // namespace vlalign
