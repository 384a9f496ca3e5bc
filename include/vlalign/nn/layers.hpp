// The layers the towers are made of. This folder is the opt-in door for people who build on the towers as torch::nn
// modules: it costs <torch/nn/module.h>, about 9 s a translation unit.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/ranks/ranks.hpp"

namespace vlalign::nn {

// Parameters are float32. A layer computes in the dtype of its input: it casts its parameters to it where they are
// used, so that gradients come back in float32. Without gradients a cast is kept.

using at::Tensor;

/// Draws initial values; one a model, so that the same seed gives the same weights whatever else ran before.
class VLALIGN_EXPORT Initializer {
 public:
  explicit Initializer(std::uint64_t seed);
  /// Draws nothing: weights hold whatever is there, for who assigns every one of them.
  static Initializer undrawn();
  Tensor normal(at::IntArrayRef shape, double standard_deviation);
  Tensor uniform(at::IntArrayRef shape, double bound);

 private:
  at::Generator generator_;
  bool draws_ = true;
};

/// A parameter in the dtype and the form in which a layer computes with it, made once and kept until the parameter
/// changes: once a step in training, however many pieces the batch has, and once in all in inference. Safe to call from
/// several threads.
class VLALIGN_EXPORT KeptWeight {
 public:
  /// form(parameter in that dtype), or the cast alone. A form is kept without gradients only.
  Tensor operator()(const Tensor& parameter, at::ScalarType dtype, Tensor (*form)(const Tensor&) = nullptr) const;

 private:
  Tensor kept(const Tensor& parameter, at::ScalarType dtype, Tensor (*form)(const Tensor&)) const;

  mutable std::mutex mutex_;
  mutable Tensor kept_;
  mutable Tensor (*form_)(const Tensor&) = nullptr;
  mutable at::ScalarType dtype_ = at::kFloat;
  mutable const void* memory_ = nullptr;  // of the parameter it was made from, and its version
  mutable std::uint32_t version_ = 0;
};

class Int8Product;

/// x W^T + b of a layer's parameters, each kept in the form in which it is used.
class VLALIGN_EXPORT KeptProduct {
 public:
  ///   bias: undefined where there is none; pack: inference keeps the weight in the order a CPU reads fastest
  Tensor operator()(const Tensor& x, const Tensor& weight, const Tensor& bias, bool pack) const;

  std::shared_ptr<const Int8Product> int8;  ///< what int8 inference does instead; null unless quantize() gave it one

 private:
  KeptWeight weight_, bias_;
};

class Lora;  // <vlalign/nn/lora.hpp>

/// y = x W^T + b, weight [out, in]. Initialised as torch.nn.Linear unless a standard deviation is given (bias zero
/// unless torch's default is wanted).
class VLALIGN_EXPORT Linear : public torch::nn::Module {
 public:
  struct Options {
    bool bias = true;
    std::optional<double> standard_deviation{};  ///< of the weight; torch.nn.Linear's uniform without it
    bool zero_bias = false;
  };
  Linear(std::int64_t in, std::int64_t out, const Options& options, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

  /// From now on inference keeps the weight in the order a CPU reads fastest, beside the parameter itself.
  void pack() {
    if (!packed_) packed_ = true;  // no write where others compute already
  }

  std::span<KeptProduct> products() { return {&product_, 1}; }

  Tensor weight, bias;
  std::shared_ptr<Lora> lora;  ///< null unless add_lora() gave it one

 private:
  bool packed_ = false;
  KeptProduct product_;
};

/// Normalisation over the last dimension: LayerNorm or RmsNorm.
class VLALIGN_EXPORT Norm : public torch::nn::Module {
 public:
  virtual Tensor forward(const Tensor& x) const = 0;
};

/// Layer normalisation, statistics in float32.
class VLALIGN_EXPORT LayerNorm : public Norm {
 public:
  explicit LayerNorm(std::int64_t width, double eps = 1e-5);
  Tensor forward(const Tensor& x) const override;

  Tensor weight, bias;

 private:
  double eps_;
};

/// x / sqrt(mean(x^2) + eps) * weight, the mean in float32 (Zhang and Sennrich 2019).
class VLALIGN_EXPORT RmsNorm : public Norm {
 public:
  explicit RmsNorm(std::int64_t width, double eps = 1e-6);
  Tensor forward(const Tensor& x) const override;

  Tensor weight;

 private:
  double eps_;
};

VLALIGN_EXPORT std::shared_ptr<Norm> make_norm(BlockConfig::Norm kind, std::int64_t width, double eps);

/// 2-D convolution, weight [out, in / groups, k, k], initialised as torch.nn.Conv2d.
class VLALIGN_EXPORT Conv2d : public torch::nn::Module {
 public:
  struct Options {
    std::int64_t stride = 1;
    std::int64_t padding = 0;
    std::int64_t groups = 1;
    bool bias = false;
  };
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Options& options, Initializer& initializer);
  Tensor forward(const Tensor& x) const;
  const Options& options() const { return options_; }

  Tensor weight, bias;

 private:
  Options options_;
  KeptWeight weight_, bias_;
};

/// Batch normalisation over [B, C, H, W]; batch statistics while training, unless frozen.
class VLALIGN_EXPORT BatchNorm2d : public torch::nn::Module {
 public:
  explicit BatchNorm2d(std::int64_t channels, double eps = 1e-5, double momentum = 0.1);
  Tensor forward(const Tensor& x);

  Tensor weight, bias, running_mean, running_var, num_batches_tracked;
  bool frozen = false;  ///< the running statistics are used and kept, while training too
  Ranks ranks{};        ///< batch statistics are those of all their rows; each calls forward() as often
  bool counts = true;   ///< false: this rank has no rows, and what it puts through counts for nothing in the statistics

  double eps() const { return eps_; }
  double momentum() const { return momentum_; }

 private:
  double eps_, momentum_;
};

/// softmax(scale q k^T + mask) v. q: [B, H, Q, d]; k, v: [B, H, L, d]; mask: additive, broadcastable to [B, H, Q, L],
/// or undefined; scale: 1 / sqrt(d) without one; dropout: share of the weights left out. On a CPU short sequences go
/// through plain batched products, which beat the flash kernel there; everything else through
/// at::scaled_dot_product_attention.
VLALIGN_EXPORT Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask,
                                std::optional<double> scale = {}, double dropout = 0);

/// Dropout (Srivastava et al. 2014): while training this share of the numbers becomes 0, the others grow for it.
VLALIGN_EXPORT Tensor dropped(const Tensor& x, double share, bool training);

/// Rows of a table, [V, W] at int64 [B, L] to [B, L, W]. On a CPU the gradient of a few of very many rows is a sparse
/// tensor: writing one of the table's size takes longer than all else that is done with them.
VLALIGN_EXPORT Tensor look_up(const Tensor& table, const Tensor& places);

VLALIGN_EXPORT Tensor activate(const Tensor& x, Activation activation);

}  // namespace vlalign::nn
