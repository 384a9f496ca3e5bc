#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// ConvNeXt (Liu et al. 2022).
class VLALIGN_EXPORT ConvNext : public Tower {
 public:
  ConvNext(const ConvNextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& x, at::ScalarType compute) override;
  std::int64_t width() const override;

 private:
  ConvNextConfig config_;
};

}  // namespace vlalign::nn
