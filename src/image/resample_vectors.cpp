// The resampler with vectors of whatever width the processor has: Highway compiles this file once for each.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "image/resample.hpp"

// Vectors whose length is known only at run time can't stand in arrays.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#define HWY_TARGET_INCLUDE "image/resample_vectors.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vlalign {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::ptrdiff_t channels = 3;
constexpr std::int32_t half = 1 << (Taps::weight_bits - 1);

/// One pixel of each of four rows; a pixel is R, G, B and one number that doesn't matter.
constexpr std::size_t four_pixels = 16;
using FourPixels = std::array<std::int32_t, four_pixels>;

/// Sums of products, at most as many as four pixels have.
using Sums = hn::CappedTag<std::int32_t, four_pixels>;
constexpr Sums sums_tag;
constexpr std::size_t lanes = hn::MaxLanes(sums_tag);
constexpr hn::Rebind<std::uint8_t, Sums> bytes_tag;
using Vector = hn::Vec<Sums>;

HWY_INLINE hn::Vec<decltype(bytes_tag)> rounded(Vector sums) {
  return hn::DemoteTo(bytes_tag, hn::ShiftRight<Taps::weight_bits>(sums));
}

/// pixel: R, G, B and any fourth byte
HWY_INLINE void widen_pixel(const std::uint8_t* pixel, std::int32_t* out) {
  constexpr hn::CappedTag<std::int32_t, 4> wide;
  constexpr hn::Rebind<std::uint8_t, decltype(wide)> narrow;
  for (std::size_t c = 0; c < 4; c += hn::MaxLanes(wide))
    hn::Store(hn::PromoteTo(wide, hn::LoadU(narrow, pixel + c)), wide, out + c);
}

/// row: of `width` pixels, the numbers of which stand from `lane` on in out's
HWY_INLINE void widen(const std::uint8_t* row, int width, std::size_t lane, FourPixels* out) {
  for (int x = 0; x < width - 1; ++x) widen_pixel(row + channels * x, out[x].data() + lane);
  std::array<std::uint8_t, 4> last{};  // nothing of the row's follows it
  std::copy_n(row + channels * (width - 1), channels, last.data());
  widen_pixel(last.data(), out[width - 1].data() + lane);
}

/// One output row of each of four rows.
HWY_INLINE void resample_four_rows(const FourPixels* in, const Taps& taps, const std::array<std::uint8_t*, 4>& out) {
  constexpr std::size_t parts = four_pixels / lanes;
  const std::int32_t* weight = taps.weight.data();
  const std::ptrdiff_t last = channels * (static_cast<std::ptrdiff_t>(taps.first.size()) - 1);
  std::ptrdiff_t at = 0;
  for (const int first : taps.first) {
    Vector sums[parts];
    for (auto& part : sums) part = hn::Set(sums_tag, half);
    for (int j = 0; j < taps.count; ++j) {
      const auto w = hn::Set(sums_tag, *weight++);
      const auto* pixels = in[first + j].data();
      for (std::size_t p = 0; p < parts; ++p)
        sums[p] = hn::Add(sums[p], hn::Mul(hn::Load(sums_tag, pixels + p * lanes), w));
    }
    alignas(16) std::array<std::uint8_t, four_pixels> pixels;
    for (std::size_t p = 0; p < parts; ++p) hn::Store(rounded(sums[p]), bytes_tag, pixels.data() + p * lanes);
    // Four bytes at once are fastest, where the next pixel overwrites the fourth.
    for (std::size_t r = 0; r < 4; ++r) std::memcpy(out[r] + at, pixels.data() + 4 * r, at < last ? 4 : 3);
    at += channels;
  }
}

void resample_rows(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  const auto out_stride = channels * static_cast<std::ptrdiff_t>(taps.first.size());
  struct alignas(64) Aligned {
    FourPixels pixels;
  };
  static_assert(sizeof(Aligned) == sizeof(FourPixels));
  thread_local std::vector<Aligned> wide;  // kept, for those who resize in a loop
  if (wide.size() < static_cast<std::size_t>(image.width)) wide.resize(static_cast<std::size_t>(image.width));
  for (int top = 0; top < image.height; top += 4) {
    std::array<std::uint8_t*, 4> out_rows{};
    for (std::size_t r = 0; r < 4; ++r) {
      const std::ptrdiff_t y = std::min(top + static_cast<int>(r), image.height - 1);
      widen(image.rgb + y * image.stride, image.width, 4 * r, &wide.data()->pixels);
      out_rows[r] = out + y * out_stride;
    }
    resample_four_rows(&wide.data()->pixels, taps, out_rows);
  }
}

constexpr int block = 4 * static_cast<int>(lanes);  // numbers of a row taken together

HWY_INLINE Vector plus_product(Vector sum, const std::uint8_t* numbers, Vector weight) {
  return hn::Add(sum, hn::Mul(hn::PromoteTo(sums_tag, hn::LoadU(bytes_tag, numbers)), weight));
}

HWY_INLINE void resample_block(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weight, int count,
                               std::uint8_t* out) {
  auto a = hn::Set(sums_tag, half), b = a, c = a, d = a;
  for (int j = 0; j < count; ++j, in += stride) {
    const auto w = hn::Set(sums_tag, weight[j]);
    a = plus_product(a, in, w);
    b = plus_product(b, in + lanes, w);
    c = plus_product(c, in + 2 * lanes, w);
    d = plus_product(d, in + 3 * lanes, w);
  }
  hn::StoreU(rounded(a), bytes_tag, out);
  hn::StoreU(rounded(b), bytes_tag, out + lanes);
  hn::StoreU(rounded(c), bytes_tag, out + 2 * lanes);
  hn::StoreU(rounded(d), bytes_tag, out + 3 * lanes);
}

void resample_columns(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  const int row_numbers = static_cast<int>(channels) * image.width;
  if (row_numbers < block) return plain_resample_kernels().columns(image, taps, out);
  const std::int32_t* weight = taps.weight.data();
  for (const int first : taps.first) {
    const std::uint8_t* row = image.rgb + first * image.stride;
    for (int x = 0; x < row_numbers; x += block) {
      const int from = std::min(x, row_numbers - block);  // the last blocks overlap
      resample_block(row + from, image.stride, weight, taps.count, out + from);
    }
    out += row_numbers;
    weight += taps.count;
  }
}

ResampleKernels kernels() { return {resample_rows, resample_columns}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vlalign
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vlalign {

HWY_EXPORT(kernels);

ResampleKernels resample_kernels() { return HWY_DYNAMIC_DISPATCH(kernels)(); }

}  // namespace vlalign
#endif
