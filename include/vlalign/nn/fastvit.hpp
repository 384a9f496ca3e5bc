#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// FastViT (Vasu et al. 2023) as MobileCLIP's.
class VLALIGN_EXPORT FastVit : public Tower {
 public:
  FastVit(const FastVitConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& x, at::ScalarType compute) override;
  std::int64_t width() const override;

 private:
  FastVitConfig config_;
};

}  // namespace vlalign::nn
