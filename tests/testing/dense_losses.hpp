// Losses as the papers write them, with all logits at once: what the test kit is tested on.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/softplus.h>

#include <string>

#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign::test {

/// What can go wrong in InfoNCE.
enum class Mistake {
  none,
  lengths_leak,
  one_direction,
  multiplied_temperature,
  mean_over_square,
  no_maximum,
  gather_without_gradient,
  targets_without_offset,
  transposed_logits,
  repeated_scale_gradient,
  text_without_gradient,
  bfloat16_logits,
  bare_norm,
  sum_of_rows,
};

/// InfoNCE as the papers write it, with all logits at once, and one mistake if wanted.
class DenseInfoNCE : public ContrastiveLoss {
 public:
  explicit DenseInfoNCE(Mistake mistake = Mistake::none) : mistake_(mistake) {}

  at::Tensor forward(const ContrastiveBatch& batch) const override {
    const auto size = batch.image.size(0);
    const auto own = batch.own.value_or(tiles::RowRange{0, size});
    const auto logits = logits_of(batch, own);
    const auto targets = targets_of(batch).to(logits.scalar_type());
    const auto first = has(Mistake::targets_without_offset) ? 0 : own.begin;
    const auto of_images = cross_entropy(logits.narrow(0, own.begin, own.count), targets.narrow(0, first, own.count));
    const auto of_texts =
        cross_entropy(logits.t().narrow(0, own.begin, own.count), targets.t().narrow(0, first, own.count));
    const auto sum = has(Mistake::one_direction) ? of_images : (of_images + of_texts) / 2;
    if (has(Mistake::sum_of_rows)) return sum;
    return sum / (own.count * (has(Mistake::mean_over_square) ? size : 1));
  }

  std::string name() const override { return "dense"; }
  BatchParts uses() const override { return {.groups = true, .soft_targets = true}; }

 private:
  bool has(Mistake mistake) const { return mistake_ == mistake; }

  at::Tensor unit(const at::Tensor& rows) const {
    const auto wide = rows.scalar_type() == at::kDouble ? rows : rows.to(at::kFloat);
    if (has(Mistake::lengths_leak)) return wide;
    if (has(Mistake::bare_norm)) return wide / wide.square().sum(1, /*keepdim=*/true).sqrt();
    return l2_normalize(rows);
  }

  at::Tensor gathered(const at::Tensor& rows, tiles::RowRange own) const {
    if (!has(Mistake::gather_without_gradient)) return rows;
    const auto end = own.begin + own.count;
    return at::cat({rows.narrow(0, 0, own.begin).detach(), rows.narrow(0, own.begin, own.count),
                    rows.narrow(0, end, rows.size(0) - end).detach()});
  }

  at::Tensor logits_of(const ContrastiveBatch& batch, tiles::RowRange own) const {
    const auto image = gathered(unit(batch.image), own);
    auto text = gathered(unit(batch.text), own);
    if (has(Mistake::text_without_gradient)) text = text.detach();
    auto scale = batch.logit_scale;
    if (has(Mistake::repeated_scale_gradient)) {
      const auto processes = batch.image.size(0) / own.count;
      scale = scale * processes - scale.detach() * (processes - 1);
    }
    auto cosines = at::matmul(image, text.t());
    if (has(Mistake::bfloat16_logits) && batch.image.scalar_type() == at::kBFloat16)
      cosines = cosines.to(at::kBFloat16);
    if (has(Mistake::transposed_logits)) cosines = cosines.t();
    return has(Mistake::multiplied_temperature) ? cosines / scale : cosines * scale;
  }

  static at::Tensor targets_of(const ContrastiveBatch& batch) {
    if (batch.soft_targets.defined()) return batch.soft_targets.dense();
    if (batch.groups.defined()) return batch.groups.unsqueeze(1) == batch.groups.unsqueeze(0);
    return at::eye(batch.image.size(0), batch.image.options().dtype(at::kFloat));
  }

  at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& targets) const {
    const auto log_sum = has(Mistake::no_maximum) ? logits.exp().sum(1).log() : at::logsumexp(logits, 1);
    return (log_sum - (targets * logits).sum(1) / targets.sum(1)).sum();
  }

  Mistake mistake_;
};

/// Whether the mask that hides padding is heeded.
enum class Mask { heeded, ignored };

/// 1 for real tokens [B, N], 0 for padding.
inline at::Tensor real_tokens(const TokenFeatures& tokens, Mask mask) {
  const auto ones = at::ones_like(tokens.features.select(2, 0));
  return mask == Mask::heeded && tokens.mask.defined() ? ones * tokens.mask : ones;
}

/// FILIP (Yao et al. 2021): each word looks for its best patch, each patch for its best word.
inline AnyLoss late_interaction(Mask mask = Mask::heeded) {
  const auto loss = [mask](const ContrastiveBatch& b) {
    const auto patches = l2_normalize(b.image_tokens.features), words = l2_normalize(b.text_tokens.features);
    const auto patch = real_tokens(b.image_tokens, mask).unsqueeze(1), word = real_tokens(b.text_tokens, mask);
    const auto cosines = at::einsum("ikd,jrd->ijkr", {patches, words});
    const auto best_word = (cosines - 10 * (1 - word.unsqueeze(0).unsqueeze(2))).amax(3);
    const auto best_patch = (cosines - 10 * (1 - patch.unsqueeze(3))).amax(2);
    const auto of_images = b.logit_scale * (best_word * patch).sum(2) / patch.sum(2);
    const auto of_texts = b.logit_scale * (best_patch * word).sum(2) / word.sum(1);
    const auto losses =
        at::logsumexp(of_images, 1) + at::logsumexp(of_texts, 0) - of_images.diagonal() - of_texts.diagonal();
    return losses.mean() / 2;
  };
  return {loss, {.tokens = true}, "late interaction"};
}

/// The cross-entropy with a teacher's probabilities, both ways.
inline AnyLoss distillation() {
  const auto logits = [](const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale) {
    return scale * at::matmul(l2_normalize(image), l2_normalize(text).t());
  };
  const auto loss = [logits](const ContrastiveBatch& b) {
    const auto teacher = logits(b.teacher_image, b.teacher_text, b.teacher_logit_scale);
    const auto student = logits(b.image, b.text, b.logit_scale);
    const auto of_images = teacher.softmax(1) * student.log_softmax(1);
    const auto of_texts = teacher.softmax(0) * student.log_softmax(0);
    return -(of_images + of_texts).sum(1).mean() / 2;
  };
  return {loss, {.teacher = true}, "distillation"};
}

/// VSE++ (Faghri et al. 2018): the hardest negative in the batch, with a margin.
inline AnyLoss hardest_negative() {
  const auto loss = [](const ContrastiveBatch& b) {
    if (b.image.size(0) < 2) throw Error("[hardest_negative] image: at least 2 pairs are needed");
    const auto cosines = at::matmul(l2_normalize(b.image), l2_normalize(b.text).t());
    const auto own = cosines.diagonal();
    const auto negatives = cosines - 10 * at::eye(b.image.size(0), cosines.options());
    return ((0.2 - own + negatives.amax(1)).relu() + (0.2 - own + negatives.amax(0)).relu()).mean();
  };
  return {loss, {}, "hardest negative"};
}

/// InfoNCE of images and texts, and of the images and their second views.
inline AnyLoss two_views() {
  const auto loss = [](const ContrastiveBatch& b) {
    auto views = b;
    views.text = b.second_image;
    return DenseInfoNCE().forward(b) + DenseInfoNCE().forward(views);
  };
  return {loss, {.second_image = true}, "two views"};
}

/// The next frame should be nearer than the last one.
inline AnyLoss time_contrast() {
  const auto loss = [](const ContrastiveBatch& b) {
    const auto frames = b.frames.scalar_type() == at::kDouble ? b.frames : b.frames.to(at::kFloat);
    const auto first = frames.select(1, 0);
    const auto near = (first - frames.select(1, 1)).square().sum(1),
               far = (first - frames.select(1, -1)).square().sum(1);
    return at::softplus(near - far).mean();
  };
  return {loss, {.frames = 4}, "time contrast"};
}

}  // namespace vlalign::test
