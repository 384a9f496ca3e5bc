// A loss of one's own: InfoNCE with an additive margin. A pair's cosine must beat all others by `margin`, or it still
// costs (Yang et al. 2019, "Improving Multilingual Sentence Embedding using Bi-directional Dual Encoder").
#pragma once

#include <ATen/TensorOperators.h>

#include <vlalign/vlalign.hpp>

class MarginInfoNCE : public vlalign::ContrastiveLoss {
 public:
  explicit MarginInfoNCE(double margin = 0.1) : margin_(margin) {}

  at::Tensor forward(const vlalign::ContrastiveBatch& batch) const override {
    const auto cosines = vlalign::l2_normalize(batch.image).matmul(vlalign::l2_normalize(batch.text).t());
    const auto margins = margin_ * cosines.new_ones({cosines.size(0)}).diag();
    const auto logits = batch.logit_scale * (cosines - margins);
    return (logits.logsumexp(1).mean() + logits.logsumexp(0).mean()) / 2 - logits.diagonal().mean();
  }
  std::string name() const override { return "margin_infonce"; }
  std::string options() const override { return "margin=" + std::to_string(margin_); }  // a run resumes with the same

 private:
  double margin_;
};
