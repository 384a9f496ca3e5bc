#include "nn/foldable_conv.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/zeros.h>

#include "core/traced.hpp"
#include "kernels/product.hpp"
#include "nn/channels.hpp"

namespace vlalign::nn {
namespace {

Tensor over_outputs(const Tensor& numbers) { return numbers.view({-1, 1, 1, 1}); }

/// Each channel `times` times, one beside the other. LibTorch has fast depthwise convolutions only where as many
/// channels come out as go in.
Tensor repeated_channels(const Tensor& x, std::int64_t times) {
  if (times == 1) return x;
  return channels_in_front(channels_behind(x).unsqueeze(-1).expand({-1, -1, -1, -1, times}).flatten(-2));
}

}  // namespace

Kernel operator+(const Kernel& a, const Kernel& b) { return {a.weight + b.weight, a.bias + b.bias}; }
Kernel operator-(const Kernel& a, const Kernel& b) { return {a.weight - b.weight, a.bias - b.bias}; }
Kernel operator*(const Tensor& factors, const Kernel& kernel) {
  return {over_outputs(factors) * kernel.weight, factors * kernel.bias};
}

Kernel padded(const Kernel& kernel, std::int64_t size) {
  const auto around = (size - kernel.weight.size(-1)) / 2;
  return {at::constant_pad_nd(kernel.weight, {around, around, around, around}), kernel.bias};
}

Kernel identity_kernel(std::int64_t channels, std::int64_t in_group, std::int64_t size, const at::TensorOptions& like) {
  auto weight = at::zeros({channels, in_group, size, size}, like);
  for (std::int64_t i = 0; i < channels; ++i) weight[i][i % in_group][size / 2][size / 2] = 1;
  return {weight, at::zeros({channels}, like)};
}

Kernel folded(const BatchNorm2d& norm, const Kernel& kernel) {
  const auto factors = norm.weight * (norm.running_var + norm.eps()).rsqrt();
  auto scaled = factors * kernel;
  scaled.bias = scaled.bias + norm.bias - norm.running_mean * factors;
  return scaled;
}

const std::vector<Tensor>& FoldableConv::sources() const {
  std::call_once(found_, [this] {
    sources_ = parameters();
    for (const auto& buffer : buffers()) sources_.push_back(buffer);
  });
  return sources_;
}

KeptForm::Form FoldableConv::prepared(const Tensor& x) const {
  const auto dtype = x.scalar_type();
  return form_(sources(), dtype, [&]() -> KeptForm::Form {
    const auto whole = kernel();
    const auto weight = whole.weight.to(dtype);
    if (is_pointwise()) return {packed(weight.flatten(1)), whole.bias.to(dtype)};
    return {packed_kernel(weight, repeated_channels(x, options().groups / shape_.groups), options()),
            whole.bias.to(dtype)};
  });
}

/// For a recording, which isn't shown how the kernel was made.
Tensor FoldableConv::recorded(const Tensor& x) const {
  const auto whole = [this] {
    const at::NoGradGuard no_graph;
    const at::tracer::impl::NoTracerDispatchMode unseen;
    return kernel();
  }();
  return at::conv2d(x, whole.weight, whole.bias, shape_.stride, shape_.kernel / 2, /*dilation=*/1, shape_.groups);
}

ConvolutionOptions FoldableConv::options() const {
  const bool each = shape_.groups == shape_.in && shape_.groups > 1;
  return {.stride = shape_.stride, .padding = shape_.kernel / 2, .groups = each ? shape_.out : shape_.groups};
}

Tensor FoldableConv::convolved(const Tensor& x, bool gelu) {
  const auto then = gelu ? ThenApply::gelu : ThenApply::nothing;
  if (!is_training() && is_traced()) return applied(recorded(x), then);
  if (is_training() || at::GradMode::is_enabled()) return applied(parts(x), then);
  const auto form = prepared(x);
  if (is_pointwise()) return applied(channels_in_front(product(channels_behind(x), form[0], form[1])), then);
  return convolution(repeated_channels(x, options().groups / shape_.groups), form[0], form[1], options(), then);
}

ConvNorm::ConvNorm(const Shape& shape, Initializer& initializer) : FoldableConv(shape) {
  conv_ = register_module(
      "conv", std::make_shared<Conv2d>(shape.in, shape.out, shape.kernel, shape.options(/*bias=*/false), initializer));
  bn_ = register_module("bn", std::make_shared<BatchNorm2d>(shape.out));
}

/// 1x1 kernels as products, and depthwise ones with as many channels out as in: LibTorch is slow at the others.
Tensor ConvNorm::convolution(const Tensor& x) const {
  const auto& [in, out, kernel, stride, groups] = shape();
  const auto weight = conv_->weight.to(x.scalar_type());
  if (kernel == 1) {
    const auto seen = x.slice(2, 0, std::nullopt, stride).slice(3, 0, std::nullopt, stride);
    if (groups == 1) return channels_in_front(product(channels_behind(seen).contiguous(), weight.flatten(1)));
    return repeated_channels(seen, out / in) * weight.view({1, -1, 1, 1});
  }
  if (groups == 1) return conv_->forward(x);
  return at::conv2d(repeated_channels(x, out / in), weight, std::nullopt, stride, kernel / 2, /*dilation=*/1, out);
}

Kernel ConvNorm::kernel() const {
  return folded(*bn_, {conv_->weight, at::zeros({shape().out}, conv_->weight.options())});
}

}  // namespace vlalign::nn
