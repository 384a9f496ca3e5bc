// A convolution and the batch norm behind it. Internal.
#pragma once

#include <memory>

#include "kernels/convolution.hpp"
#include "nn/kept_form.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// The two as inference on a CPU computes them: as one convolution, with what follows it, kept until a parameter or a
/// running statistic changes. With gradients, while training and elsewhere they run one after the other.
class ConvThenNorm {
 public:
  ConvThenNorm(std::shared_ptr<Conv2d> conv, std::shared_ptr<BatchNorm2d> norm);

  /// then(norm(conv(x)) + added). x: [B, in, H, W], best with the channels innermost; added: as the result, or
  /// undefined; it is written over where nobody else holds it
  Tensor forward(const Tensor& x, ThenApply then = ThenApply::nothing, Tensor added = {}) const;

 private:
  Tensor one_by_one(const Tensor& x, ThenApply then, const Tensor& added) const;

  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> norm_;
  std::vector<Tensor> sources_;
  KeptForm form_;
};

/// Makes one. Headers for others hold it by a pointer alone.
inline std::shared_ptr<ConvThenNorm> pair_of(const std::shared_ptr<Conv2d>& conv,
                                             const std::shared_ptr<BatchNorm2d>& norm) {
  return std::make_shared<ConvThenNorm>(conv, norm);
}

}  // namespace vlalign::nn
