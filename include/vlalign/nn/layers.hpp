// The layers the towers are made of. This folder is the opt-in door for people who build on the towers as torch::nn
// modules: it costs <torch/nn/module.h>, about 9 s a translation unit.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <optional>

namespace vlalign::nn {

// Parameters are float32. A layer computes in the dtype of its input: it casts its parameters to it where they are
// used, so that gradients come back in float32.

using at::Tensor;

/// Draws initial values; one a model, so that the same seed gives the same weights whatever else ran before.
class Initializer {
 public:
  explicit Initializer(std::uint64_t seed);
  Tensor normal(at::IntArrayRef shape, double standard_deviation);
  Tensor uniform(at::IntArrayRef shape, double bound);

 private:
  at::Generator generator_;
};

/// y = x W^T + b, weight [out, in]. Initialised as torch.nn.Linear unless a standard deviation is given (bias zero
/// unless torch's default is wanted).
class Linear : public torch::nn::Module {
 public:
  struct Options {
    bool bias = true;
    std::optional<double> standard_deviation;  ///< of the weight; torch.nn.Linear's uniform without it
    bool zero_bias = false;
  };
  Linear(std::int64_t in, std::int64_t out, const Options& options, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

  Tensor weight, bias;
};

/// Layer normalisation over the last dimension, eps 1e-5, statistics in float32.
class LayerNorm : public torch::nn::Module {
 public:
  explicit LayerNorm(std::int64_t width);
  Tensor forward(const Tensor& x) const;

  Tensor weight, bias;
};

/// Bias-free 2-D convolution, weight [out, in, k, k], initialised as torch.nn.Conv2d.
class Conv2d : public torch::nn::Module {
 public:
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
         Initializer& initializer);
  Tensor forward(const Tensor& x) const;

  Tensor weight;

 private:
  std::int64_t stride_, padding_;
};

/// Batch normalisation over [B, C, H, W], eps 1e-5, momentum 0.1; batch statistics while training.
class BatchNorm2d : public torch::nn::Module {
 public:
  explicit BatchNorm2d(std::int64_t channels);
  Tensor forward(const Tensor& x);

  Tensor weight, bias, running_mean, running_var, num_batches_tracked;
};

/// softmax(q k^T / sqrt(d) + mask) v. q: [B, H, Q, d]; k, v: [B, H, L, d]; mask: additive, broadcastable to [B, H, Q,
/// L], or undefined. On a CPU short sequences go through plain batched products, which beat the flash kernel there;
/// everything else through at::scaled_dot_product_attention.
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask);

/// x * sigmoid(1.702 x) if quick, else the exact GELU.
Tensor gelu(const Tensor& x, bool quick);

}  // namespace vlalign::nn
