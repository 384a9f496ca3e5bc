// The convolutions of MobileOne and FastViT (Vasu et al. 2023), whose branches inference adds up. Internal.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nn/foldable_conv.hpp"

namespace vlalign::nn {

/// Squeeze and excitation (Hu et al. 2018) with ReLU between its layers: fc1, fc2.
class SqueezeExcite : public torch::nn::Module {
 public:
  SqueezeExcite(std::int64_t channels, std::int64_t squeezed, Initializer& initializer);
  Tensor forward(const Tensor& x) const;

 private:
  std::shared_ptr<Linear> fc1_, fc2_;
};

/// The sum of convolutions of several sizes, each with a batch norm, and of a batch norm of the input, then squeeze and
/// excitation and GELU where there are.
class ReparamConv : public FoldableConv {
 public:
  struct Branch {
    const char* name;
    std::int64_t kernel;
  };
  struct Options {
    std::vector<Branch> branches{};
    bool identity = false;                   ///< a batch norm of the input: registered as identity
    std::optional<std::int64_t> squeezed{};  ///< channels between the layers of squeeze and excitation: se
    bool gelu = true;
    bool folded = false;  ///< one convolution already: reparam_conv
  };
  ReparamConv(const Shape& shape, const Options& options, Initializer& initializer);
  Tensor forward(const Tensor& x);
  Kernel kernel() const override;

 protected:
  Tensor parts(const Tensor& x) override;

 private:
  std::vector<std::shared_ptr<ConvNorm>> branches_;
  std::shared_ptr<BatchNorm2d> identity_;
  std::shared_ptr<Conv2d> whole_;
  std::shared_ptr<SqueezeExcite> se_;
  bool gelu_;
};

/// x + gamma * (mixer(x) - norm(x)), depthwise 3x3: FastViT's token mixer.
class RepMixer : public FoldableConv {
 public:
  RepMixer(std::int64_t width, const std::optional<double>& layer_scale, bool folded, Initializer& initializer);
  Kernel kernel() const override;

 protected:
  Tensor parts(const Tensor& x) override;

 private:
  std::shared_ptr<ReparamConv> norm_, mixer_;
  Tensor gamma_;  // [W], registered as layer_scale.gamma; undefined without
  std::shared_ptr<Conv2d> whole_;
};

/// x + conv(x), depthwise 7x7: conditional positions (Chu et al. 2021).
class ConditionalPositions : public FoldableConv {
 public:
  ConditionalPositions(std::int64_t width, bool folded, Initializer& initializer);
  Kernel kernel() const override;

 protected:
  Tensor parts(const Tensor& x) override;

 private:
  std::shared_ptr<Conv2d> conv_;
  bool folded_;
};

/// A factor a channel of a residual branch, [W], registered as `name`.gamma of the owner; undefined without a value.
Tensor make_layer_scale(torch::nn::Module& owner, const char* name, std::int64_t width,
                        const std::optional<double>& value);

}  // namespace vlalign::nn
