#include "vlalign/vla/head/retrieval_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <cmath>

#include "core/check.hpp"
#include "core/finite.hpp"
#include "vla/check_shape.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::vla {
namespace {

constexpr double first_scale = 1 / 0.07, largest_scale = 100.0;  // Radford et al. 2021, section 2.5
constexpr double least_deviation = 1e-3;                         // of the largest

}  // namespace

Tensor whitened(const Tensor& rows) {
  check_shape(rows, {any, any}, "whitened", "rows");
  if (rows.size(0) == 1) return rows;
  const auto apart = rows.to(at::kDouble) - rows.to(at::kDouble).mean(0);
  const auto [variances, directions] = at::linalg_eigh(at::mm(apart.t(), apart));
  const auto least = (least_deviation * least_deviation * variances.max()).clamp_min(1e-30);  // rows that are all equal
  return (at::mm(apart, directions) * (variances.clamp_min(0) + least).rsqrt()).to(rows.scalar_type());
}

RetrievalHead::RetrievalHead(std::int64_t width, const ActionShape& shape, const ActionBank& bank,
                             const Options& options, nn::Initializer& initializer)
    : ActionHead("RetrievalHead", width, shape) {
  if (!has_shape(bank.phrases, {any, any}))
    fail("[RetrievalHead] bank.phrases: expected [K, E], got {}", shape_of(bank.phrases));
  const std::vector<std::int64_t> expected{bank.phrases.size(0), shape.horizon, shape.dims};
  if (!has_shape(bank.actions, expected))
    fail("[RetrievalHead] bank.actions: expected {}, got {}", expected, shape_of(bank.actions));
  check(all_finite(bank.phrases) && all_finite(bank.actions),
        "[RetrievalHead] bank: expected finite phrases and actions, got NaN or infinity");
  phrases = register_buffer("phrases", l2_normalize(whitened(bank.phrases.detach())));
  actions = register_buffer("actions", bank.actions.detach().to(at::kFloat));
  mlp = register_module(
      "mlp", std::make_shared<ResidualMlp>(width, options.hidden, options.layers, phrases.size(1), initializer));
  log_logit_scale = register_parameter("logit_scale", at::full({}, std::log(first_scale)));
}

Tensor RetrievalHead::logits(const Tensor& features) const {
  const auto cosines = at::linear(l2_normalize(mlp->forward(features)), phrases);
  return cosines * log_logit_scale.exp().clamp_max(largest_scale);
}

Tensor RetrievalHead::nearest_phrase(const Tensor& wanted, const Tensor& mask) const {
  check_shape(wanted, {any, shape().horizon, shape().dims}, "RetrievalHead", "actions");
  if (mask.defined() && (mask.scalar_type() != at::kBool || !mask.sizes().equals(wanted.sizes().slice(0, 2))))
    fail("[RetrievalHead] mask: expected bool {}, got {} {}", wanted.sizes().slice(0, 2),
         c10::toString(mask.scalar_type()), mask.sizes());
  auto distances = (wanted.unsqueeze(1) - actions).square().sum(-1);  // [B, K, H]
  if (mask.defined()) distances = distances.masked_fill(~mask.unsqueeze(1), 0.0);
  return distances.sum(-1).argmin(1);
}

Tensor RetrievalHead::loss_of(const Tensor& features, const Target& target, const at::Generator&) const {
  const auto phrase = nearest_phrase(target.actions, target.mask);
  const auto each = at::cross_entropy_loss(logits(features), phrase, {}, at::Reduction::None);
  return mean_over_steps(each, target.mask.defined() ? target.mask.any(1) : Tensor());
}

Tensor RetrievalHead::prediction(const Tensor& features, const at::Generator&) const {
  const auto all = logits(features);
  const auto likeness = all.amax(1).unsqueeze(1).unsqueeze(1);
  return actions.index_select(0, all.argmax(1)) + likeness * 0;  // NaN where no phrase is the likeliest
}

}  // namespace vlalign::vla
