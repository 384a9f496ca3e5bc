// Convolutions that training computes in parts and inference as one (Ding et al. 2021, RepVGG). Internal.
#pragma once

#include <mutex>
#include <vector>

#include "kernels/convolution.hpp"
#include "nn/kept_form.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// A whole convolution: weight [out, in / groups, k, k], bias [out].
struct Kernel {
  Tensor weight, bias;
};

Kernel operator+(const Kernel& a, const Kernel& b);
Kernel operator-(const Kernel& a, const Kernel& b);
/// Each output channel times a number, [out].
Kernel operator*(const Tensor& factors, const Kernel& kernel);
/// Zeros around it, up to size x size.
Kernel padded(const Kernel& kernel, std::int64_t size);
/// What gives back its input's channels, `in_group` of them a group.
Kernel identity_kernel(std::int64_t channels, std::int64_t in_group, std::int64_t size, const at::TensorOptions& like);
/// The batch norm behind a convolution as part of it, by the running statistics.
Kernel folded(const BatchNorm2d& norm, const Kernel& kernel);

/// Base of such convolutions. In evaluation without gradients x goes through kernel(), kept until a parameter or a
/// running statistic changes, otherwise through parts(); a recording has kernel() as a constant.
class FoldableConv : public torch::nn::Module {
 public:
  struct Shape {
    std::int64_t in, out, kernel;
    std::int64_t stride = 1, groups = 1;
    Conv2d::Options options(bool bias) const {
      return {.stride = stride, .padding = kernel / 2, .groups = groups, .bias = bias};
    }
  };
  explicit FoldableConv(const Shape& shape) : shape_(shape) {}

  /// x: [B, in, H, W], channels innermost; gelu: of the result.
  Tensor convolved(const Tensor& x, bool gelu = false);
  virtual Kernel kernel() const = 0;

 protected:
  virtual Tensor parts(const Tensor& x) = 0;
  const Shape& shape() const { return shape_; }

 private:
  bool is_pointwise() const { return shape_.kernel == 1 && shape_.stride == 1 && shape_.groups == 1; }
  KeptForm::Form prepared(const Tensor& x) const;
  ConvolutionOptions options() const;
  Tensor recorded(const Tensor& x) const;
  const std::vector<Tensor>& sources() const;

  Shape shape_;
  KeptForm form_;
  mutable std::once_flag found_;
  mutable std::vector<Tensor> sources_;
};

/// A convolution without bias, dense or of each channel alone, then a batch norm: registered as conv and bn.
class ConvNorm : public FoldableConv {
 public:
  ConvNorm(const Shape& shape, Initializer& initializer);
  Kernel kernel() const override;
  Tensor parts(const Tensor& x) override { return bn_->forward(convolution(x)); }

 private:
  Tensor convolution(const Tensor& x) const;

  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> bn_;
};

}  // namespace vlalign::nn
