#include "image/resample.hpp"

#include <algorithm>

namespace vlalign {
namespace {

constexpr std::int32_t half = 1 << (Taps::weight_bits - 1);

constexpr std::ptrdiff_t channels = 3;

std::uint8_t rounded(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> Taps::weight_bits, 0, 255));
}

std::int32_t weighted_sum(const std::uint8_t* in, std::ptrdiff_t step, const std::int32_t* weight, int count) {
  std::int32_t sum = half;
  for (int j = 0; j < count; ++j) sum += in[j * step] * weight[j];
  return sum;
}

void plain_rows(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.rgb + y * image.stride;
    const std::int32_t* weight = taps.weight.data();
    for (const int first : taps.first) {
      for (int c = 0; c < channels; ++c)
        *out++ = rounded(weighted_sum(row + channels * first + c, channels, weight, taps.count));
      weight += taps.count;
    }
  }
}

void plain_columns(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  const std::int32_t* weight = taps.weight.data();
  for (const int first : taps.first) {
    const std::uint8_t* row = image.rgb + first * image.stride;
    for (int x = 0; x < 3 * image.width; ++x) *out++ = rounded(weighted_sum(row + x, image.stride, weight, taps.count));
    weight += taps.count;
  }
}

}  // namespace

ResampleKernels plain_resample_kernels() { return {plain_rows, plain_columns}; }

}  // namespace vlalign
