#include "vlalign/loss/time_contrastive.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/roll.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <limits>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_options.hpp"
#include "loss/video.hpp"

namespace vlalign {
namespace {

/// Column 0 is the right one.
at::Tensor mean_cross_entropy(const at::Tensor& logits) { return -at::log_softmax(logits, 1).select(1, 0).mean(); }

at::Tensor similarity(const at::Tensor& a, const at::Tensor& b) { return -(a - b).norm(2, 1); }

/// The similarities [B, B] of a frame to that of every clip, -inf for the clip itself.
at::Tensor to_other_clips(const at::Tensor& frame) {
  constexpr std::int64_t exactly = 2;  // no |a|^2 + |b|^2 - 2ab, which loses small distances
  const auto itself = at::eye(frame.size(0), frame.options().dtype(at::kBool));
  return (-at::cdist(frame, frame, 2, exactly)).masked_fill(itself, -std::numeric_limits<double>::infinity());
}

at::Tensor time_contrast(const at::Tensor& z0, const at::Tensor& z1, const at::Tensor& z2) {
  const auto far = similarity(z0, z2).unsqueeze(1);
  const auto contrast = [&](const at::Tensor& near, const at::Tensor& anchor) {
    return mean_cross_entropy(at::cat({near.unsqueeze(1), far, to_other_clips(anchor)}, 1));
  };
  return (contrast(similarity(z1, z2), z2) + contrast(similarity(z0, z1), z0)) / 2.0;
}

/// That the reward grows from frame `before` to frame `after`, and is small for other clips.
at::Tensor language_contrast(const TimeContrastive::Options& options, const at::Tensor& first, const at::Tensor& before,
                             const at::Tensor& after, const at::Tensor& text) {
  const auto size = first.size(0);
  const auto reward = [&](const at::Tensor& from, const at::Tensor& to) {
    auto result = options.reward(from, to, text);
    if (!result.defined() || !result.is_floating_point())
      fail("[TimeContrastive] reward: expected it to give a floating tensor, got {}",
           result.defined() ? c10::toString(result.scalar_type()) : "none");
    check(result.sizes() == at::IntArrayRef{size}, "[TimeContrastive] reward: expected it to give [{}], got {}", size,
          result.sizes().vec());
    return result;
  };
  std::vector<at::Tensor> logits{reward(first, after), reward(first, before)};
  for (std::int64_t k = 1; k <= std::min(options.language_negatives, size - 1); ++k)
    logits.push_back(reward(first.roll(-k, 0), after.roll(-k, 0)));
  return mean_cross_entropy(at::stack(logits, 1));
}

}  // namespace

TimeContrastive::TimeContrastive(Options options) : options_(std::move(options)) {
  check(options_.language_negatives >= 0, "[TimeContrastive] language_negatives: expected 0 or more, got {}",
        options_.language_negatives);
  check_not_negative(options_.l1, "TimeContrastive", "l1");
  check_not_negative(options_.l2, "TimeContrastive", "l2");
  check_not_negative(options_.language_weight, "TimeContrastive", "language_weight");
}

std::string TimeContrastive::options() const {
  return fmt::format("l1={} l2={} reward={} language_weight={} language_negatives={}", options_.l1, options_.l2,
                     static_cast<bool>(options_.reward), options_.language_weight, options_.language_negatives);
}

at::Tensor TimeContrastive::forward(const ContrastiveBatch& batch) const {
  const auto frames = checked_frames(batch, "TimeContrastive", 3, "in the order of time");
  const auto z0 = frames.select(1, 0), z1 = frames.select(1, 1), z2 = frames.select(1, 2);
  const auto lengths = options_.l1 * frames.norm(1, 2).mean() + options_.l2 * frames.norm(2, 2).mean();
  auto loss = time_contrast(z0, z1, z2) + lengths;
  if (options_.reward) {
    check(batch.text.defined() && batch.text.dim() == 2 && batch.text.size(0) == frames.size(0) &&
              batch.text.is_floating_point(),
          "[TimeContrastive] text: expected [{}, D], got {}", frames.size(0),
          batch.text.defined() ? batch.text.sizes().vec() : std::vector<std::int64_t>());
    check_alike(batch.text, frames, "TimeContrastive", "text", "frames");
    const auto text = widened(batch.text);
    const auto terms = language_contrast(options_, z0, z0, z1, text) + language_contrast(options_, z0, z1, z2, text);
    loss = loss + options_.language_weight / 2.0 * terms;
  }
  return loss;
}

}  // namespace vlalign
