#include "nn/conv_then_norm.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "core/traced.hpp"
#include "nn/foldable_conv.hpp"

namespace vlalign::nn {

ConvThenNorm::ConvThenNorm(std::shared_ptr<Conv2d> conv, std::shared_ptr<BatchNorm2d> norm)
    : conv_(std::move(conv)), norm_(std::move(norm)) {
  sources_ = norm_->parameters();
  for (const auto& buffer : norm_->buffers()) sources_.push_back(buffer);
  sources_.push_back(conv_->weight);
  if (conv_->bias.defined()) sources_.push_back(conv_->bias);
}

Tensor ConvThenNorm::forward(const Tensor& x, ThenApply then, Tensor added) const {
  const bool alone = !x.is_cpu() || is_traced() || at::GradMode::is_enabled() || norm_->is_training();
  if (alone) return one_by_one(x, then, added);
  const auto map = x.contiguous(at::MemoryFormat::ChannelsLast);
  const auto dtype = x.scalar_type();
  const auto& all = conv_->options();
  const ConvolutionOptions options{.stride = all.stride, .padding = all.padding, .groups = all.groups};
  const auto form = form_(sources_, dtype, [&]() -> KeptForm::Form {
    const auto& weight = conv_->weight;
    const auto bias = conv_->bias.defined() ? conv_->bias : at::zeros({weight.size(0)}, weight.options());
    const auto whole = folded(*norm_, {weight, bias});
    return {packed_kernel(whole.weight.to(dtype), map, options), whole.bias.to(dtype)};
  });
  return convolution(map, form[0], form[1], options, then, std::move(added));
}

Tensor ConvThenNorm::one_by_one(const Tensor& x, ThenApply then, const Tensor& added) const {
  auto y = norm_->forward(conv_->forward(x));
  if (added.defined()) y = y + added;
  return applied(std::move(y), then);
}

}  // namespace vlalign::nn
