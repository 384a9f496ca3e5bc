#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// T5's encoder (Raffel et al. 2020).
class VLALIGN_EXPORT T5Encoder : public Tower {
 public:
  T5Encoder(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& x, at::ScalarType compute) override;
  std::int64_t width() const override;

 private:
  TextConfig config_;
};

}  // namespace vlalign::nn
