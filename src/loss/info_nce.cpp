#include "vlalign/loss/info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/matmul.h>

#include "core/check.hpp"

namespace vlalign {
namespace {

void check_shapes(const at::Tensor& image, const at::Tensor& text, const char* who) {
  check(image.dim() == 2 && image.size(0) > 0, "[{}] image: expected [B, D], got {}", who, image.sizes().vec());
  check(text.sizes() == image.sizes(), "[{}] text: expected {}, got {}", who, image.sizes().vec(), text.sizes().vec());
}

at::Tensor widened(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

}  // namespace

at::Tensor InfoNCE::forward(const ContrastiveBatch& batch) const {
  check_shapes(batch.image, batch.text, "InfoNCE");
  const auto logits = batch.logit_scale * at::matmul(widened(batch.image), widened(batch.text).t());
  const auto matching = logits.diagonal().mean();
  return (at::logsumexp(logits, 1).mean() + at::logsumexp(logits, 0).mean()) / 2 - matching;
}

double batch_accuracy(const at::Tensor& image, const at::Tensor& text) {
  check_shapes(image, text, "batch_accuracy");
  const auto cosines = at::matmul(widened(image.detach()), widened(text.detach()).t());
  // An own text that reaches the row's maximum alone: no other is as similar.
  const auto at_least = (cosines >= cosines.diagonal().unsqueeze(1)).sum(1);
  return (at_least == 1).to(at::kDouble).mean().item<double>();
}

}  // namespace vlalign
