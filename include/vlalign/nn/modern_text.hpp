#pragma once

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

/// open_clip's modern text tower.
class VLALIGN_EXPORT ModernText : public Tower {
 public:
  ModernText(const TextConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& x, at::ScalarType compute) override;
  std::int64_t width() const override;

 private:
  TextConfig config_;
};

}  // namespace vlalign::nn
