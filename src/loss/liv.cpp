#include "vlalign/loss/liv.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/video.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign {

LIV::LIV(const Options& options) : options_(options) { check_discount(options.gamma, "LIV"); }

std::string LIV::options() const { return fmt::format("gamma={}", options_.gamma); }

at::Tensor LIV::forward(const ContrastiveBatch& batch) const {
  const auto frames = l2_normalize(checked_frames(batch, "LIV", 4, frames_of_value));
  const auto goal = frames.select(1, 3);
  check_shape(batch.text, "LIV", "text");
  check(batch.text.sizes() == goal.sizes(), "[LIV] text: expected {} as the frames', got {}", goal.sizes().vec(),
        batch.text.sizes().vec());
  check_alike(batch.text, goal, "LIV", "text", "frames");
  const auto text = checked_unit_rows(batch.text, "LIV", "text");
  const auto towards = [&](const at::Tensor& g) {
    const auto values = (frames.narrow(1, 0, 3) * g.unsqueeze(1)).sum(2) / (1.0 - options_.gamma);  // [B, 3]
    return value_loss(values.select(1, 0), values.select(1, 1), values.select(1, 2), options_.gamma);
  };
  return towards(goal) + towards(text) + InfoNCE().forward({goal, text, at::ones({}, goal.options())});
}

}  // namespace vlalign
