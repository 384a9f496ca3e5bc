#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// NLLB's encoder (Costa-jussa et al. 2022), transformers' M2M100Encoder.
class VLALIGN_EXPORT NllbEncoder : public Tower {
 public:
  NllbEncoder(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& x, at::ScalarType compute) override;
  std::int64_t width() const override;

 private:
  TextConfig config_;
};

}  // namespace vlalign::nn
