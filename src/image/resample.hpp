// The two passes of a separable resize on 8-bit RGB, in fixed point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vlalign {

/// 8-bit RGB rows that belong to someone else; `stride` bytes from one to the next.
struct RgbView {
  const std::uint8_t* rgb = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;
};

/// Output i of a pass is the sum over j < count of input[first[i] + j] * weight[i * count + j], scaled by
/// 2^weight_bits.
struct Taps {
  static constexpr int weight_bits = 22;  // 8 bits of input, 2 of overshoot and headroom, in 32

  int count = 0;
  std::vector<int> first;
  std::vector<std::int32_t> weight;
};

/// Outputs are rows without padding.
struct ResampleKernels {
  /// Resamples each row of the picture. out: [height, taps.first.size(), 3]
  void (*rows)(const RgbView& image, const Taps& taps, std::uint8_t* out);
  /// Resamples each column. out: [taps.first.size(), width, 3]
  void (*columns)(const RgbView& image, const Taps& taps, std::uint8_t* out);
};

/// With this processor's vectors.
ResampleKernels resample_kernels();

/// The same results by plain loops.
ResampleKernels plain_resample_kernels();

}  // namespace vlalign
