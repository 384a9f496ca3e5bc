// Feature maps [B, C, H, W] whose channels lie innermost in memory, as convolutional towers keep them. Internal.
#pragma once

#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// What a convolutional tower computes in: float32 on a CPU without bfloat16 products, where LibTorch's convolutions of
/// bfloat16 take a hundred times as long; `compute` everywhere else.
at::ScalarType convolution_dtype(at::ScalarType compute, const Tensor& pixels);

/// [B, C, H, W] as [B, H, W, C] and back; views where the channels lie innermost.
inline Tensor channels_behind(const Tensor& map) { return map.permute({0, 2, 3, 1}); }
inline Tensor channels_in_front(const Tensor& places) { return places.permute({0, 3, 1, 2}); }

/// [C] as [1, C, 1, 1] of the map's dtype.
inline Tensor over_channels(const Tensor& numbers, const Tensor& map) {
  return numbers.to(map.scalar_type()).view({1, -1, 1, 1});
}

/// Each place's channels normalised.
inline Tensor normed_channels(const Norm& norm, const Tensor& map) {
  return channels_in_front(norm.forward(channels_behind(map)));
}

/// A 1x1 convolution by a layer's products.
inline Tensor at_each_place(const Linear& layer, const Tensor& map) {
  return channels_in_front(layer.forward(channels_behind(map)));
}

}  // namespace vlalign::nn
