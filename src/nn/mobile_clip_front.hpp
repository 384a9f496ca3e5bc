// The convolutions in front of MobileCLIP-B's blocks (Vasu et al. 2024). Internal.
#pragma once

#include <vector>

#include "vlalign/nn/vit_front.hpp"

namespace vlalign::nn {

/// Three convolutions whose windows lie side by side, 4x4, 2x2 and 2x2, to a quarter of the width, a quarter and the
/// width; the first two with batch norm and GELU.
class MobileClipFront : public VitFront {
 public:
  /// width: a multiple of 4
  MobileClipFront(std::int64_t width, Initializer& initializer);
  Tensor forward(const Tensor& pixels) override;

 private:
  std::vector<std::shared_ptr<Conv2d>> convs_;       // registered as 0.conv, ...
  std::vector<std::shared_ptr<BatchNorm2d>> norms_;  // registered as 0.bn, 1.bn
};

}  // namespace vlalign::nn
