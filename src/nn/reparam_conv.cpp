#include "nn/reparam_conv.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>

#include "nn/channels.hpp"

namespace vlalign::nn {
namespace {

std::shared_ptr<Conv2d> whole_conv(const FoldableConv::Shape& shape, Initializer& initializer) {
  return std::make_shared<Conv2d>(shape.in, shape.out, shape.kernel, shape.options(/*bias=*/true), initializer);
}

FoldableConv::Shape depthwise(std::int64_t width, std::int64_t kernel) {
  return {.in = width, .out = width, .kernel = kernel, .groups = width};
}

}  // namespace

SqueezeExcite::SqueezeExcite(std::int64_t channels, std::int64_t squeezed, Initializer& initializer) {
  fc1_ = register_module("fc1", std::make_shared<Linear>(channels, squeezed, Linear::Options{}, initializer));
  fc2_ = register_module("fc2", std::make_shared<Linear>(squeezed, channels, Linear::Options{}, initializer));
}

Tensor SqueezeExcite::forward(const Tensor& x) const {
  const auto gate = at::sigmoid(fc2_->forward(at::relu(fc1_->forward(x.mean({2, 3})))));
  return x * gate.unsqueeze(-1).unsqueeze(-1);
}

ReparamConv::ReparamConv(const Shape& shape, const Options& options, Initializer& initializer)
    : FoldableConv(shape), gelu_(options.gelu) {
  if (options.squeezed)
    se_ = register_module("se", std::make_shared<SqueezeExcite>(shape.out, *options.squeezed, initializer));
  if (options.folded) {
    whole_ = register_module("reparam_conv", whole_conv(shape, initializer));
    return;
  }
  if (options.identity) identity_ = register_module("identity", std::make_shared<BatchNorm2d>(shape.in));
  for (const auto& [name, kernel] : options.branches) {
    auto its = shape;
    its.kernel = kernel;
    branches_.push_back(register_module(name, std::make_shared<ConvNorm>(its, initializer)));
  }
}

Kernel ReparamConv::kernel() const {
  if (whole_) return {whole_->weight, whole_->bias};
  std::vector<Kernel> all;
  for (const auto& branch : branches_) all.push_back(padded(branch->kernel(), shape().kernel));
  if (identity_) {
    const auto in_group = shape().in / shape().groups;
    all.push_back(
        folded(*identity_, identity_kernel(shape().in, in_group, shape().kernel, identity_->weight.options())));
  }
  auto sum = all.front();
  for (std::size_t i = 1; i < all.size(); ++i) sum = sum + all[i];
  return sum;
}

Tensor ReparamConv::parts(const Tensor& x) {
  if (whole_) return whole_->forward(x);
  Tensor sum;
  const auto add = [&](const Tensor& y) { sum = sum.defined() ? sum + y : y; };
  for (const auto& branch : branches_) add(branch->parts(x));
  if (identity_) add(identity_->forward(x));
  return sum;
}

Tensor ReparamConv::forward(const Tensor& x) {
  if (!se_) return convolved(x, gelu_);
  const auto y = se_->forward(convolved(x));
  return gelu_ ? at::gelu(y) : y;
}

RepMixer::RepMixer(std::int64_t width, const std::optional<double>& layer_scale, bool folded, Initializer& initializer)
    : FoldableConv(depthwise(width, 3)) {
  if (folded) {
    whole_ = register_module("reparam_conv", whole_conv(shape(), initializer));
    return;
  }
  const auto add = [&](const char* name, std::vector<ReparamConv::Branch> branches) {
    const ReparamConv::Options options{.branches = std::move(branches), .identity = true, .gelu = false};
    return register_module(name, std::make_shared<ReparamConv>(shape(), options, initializer));
  };
  norm_ = add("norm", {});
  mixer_ = add("mixer", {{"conv_kxk", 3}, {"conv_scale", 1}});
  gamma_ = make_layer_scale(*this, "layer_scale", width, layer_scale);
}

Kernel RepMixer::kernel() const {
  if (whole_) return {whole_->weight, whole_->bias};
  const auto difference = mixer_->kernel() - norm_->kernel();
  return identity_kernel(shape().in, 1, shape().kernel, difference.weight.options()) +
         (gamma_.defined() ? gamma_ * difference : difference);
}

Tensor RepMixer::parts(const Tensor& x) {
  if (whole_) return whole_->forward(x);
  const auto difference = mixer_->forward(x) - norm_->forward(x);
  return x + (gamma_.defined() ? difference * over_channels(gamma_, x) : difference);
}

ConditionalPositions::ConditionalPositions(std::int64_t width, bool folded, Initializer& initializer)
    : FoldableConv(depthwise(width, 7)), folded_(folded) {
  conv_ = register_module(folded ? "reparam_conv" : "pos_enc", whole_conv(shape(), initializer));
}

Kernel ConditionalPositions::kernel() const {
  const Kernel own{conv_->weight, conv_->bias};
  return folded_ ? own : own + identity_kernel(shape().in, 1, shape().kernel, own.weight.options());
}

Tensor ConditionalPositions::parts(const Tensor& x) {
  const auto y = conv_->forward(x);
  return folded_ ? y : y + x;
}

Tensor make_layer_scale(torch::nn::Module& owner, const char* name, std::int64_t width,
                        const std::optional<double>& value) {
  if (!value) return {};
  const auto place = owner.register_module(name, std::make_shared<torch::nn::Module>());
  return place->register_parameter("gamma", at::full({width}, *value));
}

}  // namespace vlalign::nn
