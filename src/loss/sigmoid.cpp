#include "vlalign/loss/sigmoid.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include "loss/checked_batch.hpp"
#include "loss/targets.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {

at::Tensor SigmoidLoss::forward(const ContrastiveBatch& batch) const {
  const auto pairs = checked_pairs(batch, "SigmoidLoss");
  const auto& [image, text, own] = pairs;
  const auto scale = checked_scale(batch, "SigmoidLoss", image);
  const auto bias = checked_scalar(batch.logit_bias, "SigmoidLoss", "logit_bias", image);
  check_targets(batch, "SigmoidLoss");
  const auto rows = narrowed(image, own);
  // softplus(-z) = softplus(z) - z for the matching ones, with probability w: softplus(z) - w z
  const auto texts = wanted(batch, pairs, "SigmoidLoss").texts;
  const auto weight = texts.weight.defined() ? texts.weight.sum() : at::full({}, own.count, image.options());
  const auto matching = scale * texts.product.sum() + bias * weight;
  return (tiles::softplus_sum(rows, text, scale, bias) - matching) / static_cast<double>(own.count);
}

SumOverTexts SigmoidLoss::over_other_texts() const {
  return [](const ContrastiveBatch& batch, const at::Tensor& texts) {
    const auto image = widened(batch.image);
    return tiles::softplus_sum(image, widened(texts), checked_scale(batch, "SigmoidLoss", image),
                               checked_scalar(batch.logit_bias, "SigmoidLoss", "logit_bias", image));
  };
}

}  // namespace vlalign
