#include "vlalign/vla/head/bins_head.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {
namespace {

/// [A] of `values`, one for each number or one for all.
Tensor for_each_number(const std::vector<double>& values, std::int64_t dims, const char* what) {
  check(values.size() == 1 || static_cast<std::int64_t>(values.size()) == dims,
        "[BinsHead] {}: expected 1 value or {}, got {}", what, dims, values.size());
  check(std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }),
        "[BinsHead] {}: expected finite numbers, got {}", what, values);
  auto row = at::empty({dims});
  for (std::int64_t i = 0; i < dims; ++i) row[i].fill_(values.size() == 1 ? values[0] : values[i]);
  return row;
}

}  // namespace

BinsHead::BinsHead(std::int64_t width, const ActionShape& shape, const Options& options, nn::Initializer& initializer)
    : ActionHead("BinsHead", width, shape), bins_(options.bins) {
  check_size(bins_, "BinsHead", "bins", /*least=*/2);
  constexpr std::int64_t most_logits = 1 << 22;
  check(shape.horizon * shape.dims * bins_ <= most_logits,
        "[BinsHead] bins: expected {} logits at most, got {} x {} numbers of {} bins", most_logits, shape.horizon,
        shape.dims, bins_);
  const auto high = for_each_number(options.high, shape.dims, "high");
  low = register_buffer("low", for_each_number(options.low, shape.dims, "low"));
  check((high > low).all().item<bool>(), "[BinsHead] high: expected more than low, got {} and {}", options.high,
        options.low);
  bin_width = register_buffer("bin_width", (high - low) / static_cast<double>(bins_));
  mlp = register_module("mlp", std::make_shared<ResidualMlp>(width, options.hidden, options.layers,
                                                             shape.horizon * shape.dims * bins_, initializer));
}

Tensor BinsHead::logits(const Tensor& features) const {
  return mlp->forward(features).unflatten(1, {shape().horizon, shape().dims, bins_});
}

Tensor BinsHead::bin_of(const Tensor& actions) const {
  const bool fits =
      actions.defined() && actions.is_floating_point() && actions.dim() > 0 && actions.size(-1) == low.size(0);
  if (!fits) fail("[BinsHead] actions: expected floating [..., {}], got {}", low.size(0), shape_of(actions));
  return ((actions - low) / bin_width).floor().nan_to_num(0).clamp(0, bins_ - 1).to(at::kLong);
}

Tensor BinsHead::centre_of(const Tensor& bins) const {
  const bool fits = bins.defined() && bins.scalar_type() == at::kLong && bins.dim() > 0 && bins.size(-1) == low.size(0);
  if (!fits) fail("[BinsHead] bins: expected int64 [..., {}], got {}", low.size(0), shape_of(bins));
  return low + (bins + 0.5) * bin_width;
}

Tensor BinsHead::loss_of(const Tensor& features, const Target& target, const at::Generator&) const {
  const auto bins = bin_of(target.actions);
  const auto each = at::cross_entropy_loss(logits(features).flatten(0, 2), bins.flatten(), {}, at::Reduction::None);
  return mean_over_steps(each.view_as(bins).mean(2), target.mask);
}

Tensor BinsHead::prediction(const Tensor& features, const at::Generator&) const {
  const auto all = logits(features);
  return centre_of(all.argmax(-1)) + all.amax(-1) * 0;  // NaN where there is no likeliest
}

}  // namespace vlalign::vla
