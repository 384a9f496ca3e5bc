#include "vlalign/nn/layers.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "core/check.hpp"
#include "core/traced.hpp"
#include "kernels/product.hpp"
#include "nn/int8_product.hpp"
#include "nn/shared_batch_norm.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::nn {
namespace {

/// The longest sequence for which plain batched products are used on a CPU, by compute dtype.
std::int64_t longest_plain(at::ScalarType dtype) { return dtype == at::kFloat ? 128 : 512; }

/// Up to here one sequence alone, without gradients, is quicker in one kernel: calling several takes longer than they
/// do.
constexpr std::int64_t longest_alone = 24;

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double scale,
                       double dropout) {
  auto scores = at::matmul(q * scale, k.transpose(-2, -1));
  if (mask.defined()) scores = scores + mask;
  auto weights = at::softmax(scores, -1);
  if (dropout > 0) weights = at::dropout(weights, dropout, /*train=*/true);
  return at::matmul(weights, v);
}

/// A parameter's cast that is there already, as a function of the parameter.
struct CastNode : torch::autograd::Function<CastNode> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& parameter, const Tensor& cast) {
    context->saved_data["dtype"] = parameter.scalar_type();
    return cast.detach();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    return {upstream[0].to(context->saved_data["dtype"].toScalarType()), Tensor()};
  }
};

/// A convolution's weight [N, C, k, k] as [N, k * k * C].
Tensor as_matrix(const Tensor& w) { return w.permute({0, 2, 3, 1}).flatten(1); }
Tensor as_packed_matrix(const Tensor& w) { return packed(as_matrix(w)); }

/// A convolution whose windows lie side by side, as one matrix product of its patches: [B, C, H, W] with w [N, k * k *
/// C] to [B, N, H / k, W / k], channels-last.
Tensor patch_products(const Tensor& x, std::int64_t k, const Tensor& w, const Tensor& bias) {
  const auto rows = x.size(2) / k, columns = x.size(3) / k;
  const auto whole = x.narrow(2, 0, rows * k).narrow(3, 0, columns * k);
  // Channels innermost, as they lie in memory.
  const auto patches = whole.unflatten(3, {columns, k}).unflatten(2, {rows, k}).permute({0, 2, 4, 3, 5, 1});
  const auto y = product(patches.reshape({x.size(0) * rows * columns, -1}), w, bias);
  return y.view({x.size(0), rows, columns, -1}).permute({0, 3, 1, 2});
}

}  // namespace

Initializer::Initializer(std::uint64_t seed) : generator_(at::detail::createCPUGenerator(seed)) {}

Initializer Initializer::undrawn() {
  Initializer initializer(0);
  initializer.draws_ = false;
  return initializer;
}

Tensor Initializer::normal(at::IntArrayRef shape, double standard_deviation) {
  const auto tensor = at::empty(shape);
  return draws_ ? tensor.normal_(0.0, standard_deviation, generator_) : tensor;
}

Tensor Initializer::uniform(at::IntArrayRef shape, double bound) {
  const auto tensor = at::empty(shape);
  return draws_ ? tensor.uniform_(-bound, bound, generator_) : tensor;
}

Tensor KeptWeight::operator()(const Tensor& parameter, at::ScalarType dtype, Tensor (*form)(const Tensor&)) const {
  if (!form && parameter.scalar_type() == dtype) return parameter;
  const bool with_graph = at::GradMode::is_enabled() && parameter.requires_grad();
  if (with_graph) return form ? form(parameter.to(dtype)) : CastNode::apply(parameter, kept(parameter, dtype, form));
  return kept(parameter, dtype, form);
}

Tensor KeptWeight::kept(const Tensor& parameter, at::ScalarType dtype, Tensor (*form)(const Tensor&)) const {
  const std::lock_guard lock(mutex_);
  const bool current = kept_.defined() && dtype_ == dtype && form_ == form && memory_ == parameter.const_data_ptr() &&
                       version_ == parameter._version();
  if (!current) {
    const at::NoGradGuard no_graph;
    const auto cast = parameter.detach().to(dtype);
    kept_ = form ? form(cast) : cast;
    form_ = form;
    dtype_ = dtype;
    memory_ = parameter.const_data_ptr();
    version_ = static_cast<std::uint32_t>(parameter._version());
  }
  return kept_;
}

Tensor KeptProduct::operator()(const Tensor& x, const Tensor& weight, const Tensor& bias, bool pack) const {
  if (auto* observer = product_observer()) observer->see(*this, x);
  if (int8 && in_int8_mode()) return (*int8)(x, weight, bias);
  const auto dtype = x.scalar_type();
  if (pack && !at::GradMode::is_enabled() && !is_traced()) return product(x, weight_(weight, dtype, packed), bias);
  return product(x, weight_(weight, dtype), bias.defined() ? bias_(bias, dtype) : bias);
}

Linear::Linear(std::int64_t in, std::int64_t out, const Options& options, Initializer& initializer) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(in));
  weight = register_parameter("weight", options.standard_deviation
                                            ? initializer.normal({out, in}, *options.standard_deviation)
                                            : initializer.uniform({out, in}, bound));
  if (!options.bias) return;
  bias = register_parameter("bias", options.zero_bias ? at::zeros({out}) : initializer.uniform({out}, bound));
}

Tensor Linear::forward(const Tensor& x) const {
  const auto y = product_(x, weight, bias, packed_);
  return lora ? lora->add_to(y, x) : y;
}

LayerNorm::LayerNorm(std::int64_t width, double eps)
    : weight(register_parameter("weight", at::ones({width}))),
      bias(register_parameter("bias", at::zeros({width}))),
      eps_(eps) {}

Tensor LayerNorm::forward(const Tensor& x) const {
  // The CPU kernel takes low-precision input with float32 parameters; CUDA's wants one dtype.
  if (x.is_cpu()) return at::layer_norm(x, weight.sizes(), weight, bias, eps_);
  return at::layer_norm(x.to(at::kFloat), weight.sizes(), weight, bias, eps_).to(x.scalar_type());
}

RmsNorm::RmsNorm(std::int64_t width, double eps) : weight(register_parameter("weight", at::ones({width}))), eps_(eps) {}

Tensor RmsNorm::forward(const Tensor& x) const {
  const auto wide = x.to(at::kFloat);
  const auto normed = wide * (wide.square().mean(-1, /*keepdim=*/true) + eps_).rsqrt();
  return (normed * weight).to(x.scalar_type());
}

std::shared_ptr<Norm> make_norm(BlockConfig::Norm kind, std::int64_t width, double eps) {
  if (kind == BlockConfig::Norm::rms) return std::make_shared<RmsNorm>(width, eps);
  return std::make_shared<LayerNorm>(width, eps);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Options& options, Initializer& initializer)
    : options_(options) {
  const auto in_group = in / options.groups;
  const double bound = 1.0 / std::sqrt(static_cast<double>(in_group * kernel * kernel));
  weight = register_parameter("weight", initializer.uniform({out, in_group, kernel, kernel}, bound));
  if (options.bias) bias = register_parameter("bias", initializer.uniform({out}, bound));
}

Tensor Conv2d::forward(const Tensor& x) const {
  const auto dtype = x.scalar_type();
  const auto b = bias.defined() ? bias_(bias, dtype) : bias;
  const bool patches = !is_traced() && options_.stride > 1 && options_.stride == weight.size(3) &&
                       options_.padding == 0 && options_.groups == 1;
  if (patches) {
    const auto form = at::GradMode::is_enabled() ? as_matrix : as_packed_matrix;
    return patch_products(x, weight.size(3), weight_(weight, dtype, form), b);
  }
  return at::conv2d(x, weight_(weight, dtype), b.defined() ? std::optional(b) : std::nullopt, options_.stride,
                    options_.padding, /*dilation=*/1, options_.groups);
}

BatchNorm2d::BatchNorm2d(std::int64_t channels, double eps, double momentum)
    : weight(register_parameter("weight", at::ones({channels}))),
      bias(register_parameter("bias", at::zeros({channels}))),
      running_mean(register_buffer("running_mean", at::zeros({channels}))),
      running_var(register_buffer("running_var", at::ones({channels}))),
      num_batches_tracked(register_buffer("num_batches_tracked", at::zeros({}, at::kLong))),
      eps_(eps),
      momentum_(momentum) {}

Tensor BatchNorm2d::forward(const Tensor& x) {
  const bool training = is_training() && !frozen;
  if (training) num_batches_tracked += 1;
  if (training && !ranks.alone()) return batch_norm_over_ranks(x, *this);
  return at::batch_norm(x, weight, bias, running_mean, running_var, training, momentum_, eps_, /*cudnn_enabled=*/true);
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, std::optional<double> scale,
                 double dropout) {
  const bool one_short = !at::GradMode::is_enabled() && q.size(0) == 1 && k.size(-2) <= longest_alone;
  const auto factor = scale.value_or(1.0 / std::sqrt(static_cast<double>(q.size(-1))));
  if (q.is_cpu() && !one_short && k.size(-2) <= longest_plain(q.scalar_type()))
    return plain_attention(q, k, v, mask, factor, dropout);
  return at::scaled_dot_product_attention(q, k, v, mask.defined() ? std::optional(mask) : std::nullopt, dropout,
                                          /*is_causal=*/false, factor);
}

Tensor dropped(const Tensor& x, double share, bool training) {
  return training && share > 0 ? at::dropout(x, share, /*train=*/true) : x;
}

Tensor look_up(const Tensor& table, const Tensor& places) {
  constexpr std::int64_t few = 16;  // of the table's rows, one in so many
  const bool sparse = table.is_cpu() && places.numel() < table.size(0) / few;
  return at::embedding(table, places, /*padding_idx=*/-1, /*scale_grad_by_freq=*/false, sparse);
}

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return at::gelu(x);
    case Activation::quick_gelu:
      return x * at::sigmoid(x * 1.702);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::silu:
      return at::silu(x);
    case Activation::relu:
      return at::relu(x);
    case Activation::relu_squared:
      return at::relu(x).square();
  }
  fail("[activate] unknown activation");
}

}  // namespace vlalign::nn
