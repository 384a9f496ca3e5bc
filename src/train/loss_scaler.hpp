// Losses in float16, whose small gradients would be 0. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/core/io/safetensors.hpp"

namespace vlalign {

/// Scales the loss so that gradients of activations fit into float16, and the parameters' gradients back (Micikevicius
/// et al. 2018). Where one overflows the step is skipped and the scale halved; after 2,000 steps without that it is
/// doubled, as torch.amp.GradScaler does by default.
class LossScaler {
 public:
  /// Does nothing but for fp16.
  LossScaler(Precision precision, c10::Device device);

  bool is_active() const { return scale_.defined(); }
  /// What backward() is to begin with: the loss times the scale.
  at::Tensor scaled(const at::Tensor& loss) const;
  /// Divides gradients by the scale, in place; whether one of them isn't finite is known to update().
  void unscale(std::vector<at::Tensor>& gradients);
  /// Behind each step. Whether it has overflowed: for the scale, not for the loss, as long as the scale is above 1.
  bool update();

  /// The scale, and the steps since it last changed: they share the scaler's memory, so that copying into them
  /// restores.
  NamedTensors state() const;

 private:
  at::Tensor scale_, steps_, overflowed_;
};

}  // namespace vlalign
