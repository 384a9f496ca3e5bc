#include "image/resample.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
// GCC takes the undefined lanes inside AVX-512's intrinsics for a mistake of their callers (its bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif

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

#if defined(__x86_64__)
#define VLALIGN_AVX2 [[gnu::target("avx2")]]
#define VLALIGN_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl")]]

/// One pixel of each of four rows; a pixel is R, G, B and one number that doesn't matter.
struct alignas(64) FourPixels {
  std::array<std::int32_t, 16> lanes;
};

template <int size>
std::uint32_t load(const std::uint8_t* bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, size);
  return value;
}

VLALIGN_AVX2 inline void widen_pixel(std::uint32_t pixel, std::int32_t* out) {
  const __m128i numbers = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(static_cast<int>(pixel)));
  _mm_store_si128(reinterpret_cast<__m128i*>(out), numbers);
}

VLALIGN_AVX2 void widen(const std::uint8_t* row, int width, int lane, FourPixels* out) {
  for (int x = 0; x < width - 1; ++x) widen_pixel(load<4>(row + channels * x), out[x].lanes.data() + lane);
  widen_pixel(load<3>(row + channels * (width - 1)), out[width - 1].lanes.data() + lane);
}

VLALIGN_AVX2 inline __m256i plus_product(__m256i sum, __m256i pixels, __m256i weight) {
  return _mm256_add_epi32(sum, _mm256_mullo_epi32(pixels, weight));
}

/// Eight bytes of each sum's eight numbers, in the order a0 b0 a1 b1 of groups of four.
VLALIGN_AVX2 inline __m256i rounded_words(__m256i a, __m256i b) {
  return _mm256_packs_epi32(_mm256_srai_epi32(a, Taps::weight_bits), _mm256_srai_epi32(b, Taps::weight_bits));
}

/// A pixel to each row; four bytes are faster, where the next pixel overwrites the fourth.
inline void store_pixels(const int* pixel, bool next_follows, std::ptrdiff_t at,
                         const std::array<std::uint8_t*, 4>& out) {
  for (std::size_t r = 0; r < 4; ++r) std::memcpy(out[r] + at, pixel + r, next_follows ? 4 : 3);
}

VLALIGN_AVX2 void avx2_four_rows(const FourPixels* in, const Taps& taps, const std::array<std::uint8_t*, 4>& out) {
  const std::int32_t* weight = taps.weight.data();
  const std::ptrdiff_t last = channels * (static_cast<std::ptrdiff_t>(taps.first.size()) - 1);
  std::ptrdiff_t at = 0;
  for (const int first : taps.first) {
    __m256i sum01 = _mm256_set1_epi32(half), sum23 = sum01;
    for (int j = 0; j < taps.count; ++j) {
      const auto* pixels = reinterpret_cast<const __m256i*>(in[first + j].lanes.data());
      const __m256i w = _mm256_set1_epi32(*weight++);
      sum01 = plus_product(sum01, _mm256_load_si256(pixels), w);
      sum23 = plus_product(sum23, _mm256_load_si256(pixels + 1), w);
    }
    const __m256i words = rounded_words(sum01, sum23);
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const __m128i rows02 = _mm256_castsi256_si128(bytes), rows13 = _mm256_extracti128_si256(bytes, 1);
    const std::array<int, 4> pixel{_mm_cvtsi128_si32(rows02), _mm_cvtsi128_si32(rows13), _mm_extract_epi32(rows02, 1),
                                   _mm_extract_epi32(rows13, 1)};
    store_pixels(pixel.data(), at < last, at, out);
    at += channels;
  }
}

/// One output row of each of four rows.
using FourRows = void (*)(const FourPixels* in, const Taps& taps, const std::array<std::uint8_t*, 4>& out);

template <FourRows four_rows>
VLALIGN_AVX2 void vector_rows(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  const auto out_stride = channels * static_cast<std::ptrdiff_t>(taps.first.size());
  thread_local std::vector<FourPixels> wide;  // kept, for those who resize in a loop
  if (wide.size() < static_cast<std::size_t>(image.width)) wide.resize(static_cast<std::size_t>(image.width));
  for (int top = 0; top < image.height; top += 4) {
    std::array<std::uint8_t*, 4> out_rows{};
    for (int r = 0; r < 4; ++r) {
      const std::ptrdiff_t y = std::min(top + r, image.height - 1);
      widen(image.rgb + y * image.stride, image.width, 4 * r, wide.data());
      out_rows[static_cast<std::size_t>(r)] = out + y * out_stride;
    }
    four_rows(wide.data(), taps, out_rows);
  }
}

VLALIGN_AVX2 void columns32(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weight, int count,
                            std::uint8_t* out) {
  const __m256i start = _mm256_set1_epi32(half);
  __m256i sums[4] = {start, start, start, start};
  for (int j = 0; j < count; ++j) {
    const __m256i w = _mm256_set1_epi32(weight[j]);
    for (int i = 0; i < 4; ++i) {
      const auto* eight = reinterpret_cast<const __m128i*>(in + j * stride + std::ptrdiff_t{8} * i);
      sums[i] = plus_product(sums[i], _mm256_cvtepu8_epi32(_mm_loadl_epi64(eight)), w);
    }
  }
  const __m256i bytes = _mm256_packus_epi16(rounded_words(sums[0], sums[1]), rounded_words(sums[2], sums[3]));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(bytes, order));
}

/// One output row, `width` numbers of it.
using ColumnsKernel = void (*)(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weight, int count,
                               std::uint8_t* out);

/// narrower: for pictures of fewer numbers a row
template <int width, ColumnsKernel columns, auto narrower>
void vector_columns(const RgbView& image, const Taps& taps, std::uint8_t* out) {
  const int bytes = 3 * image.width;
  if (bytes < width) return narrower(image, taps, out);
  const std::int32_t* weight = taps.weight.data();
  for (const int first : taps.first) {
    const std::uint8_t* row = image.rgb + first * image.stride;
    for (int x = 0; x < bytes; x += width) {
      const int from = std::min(x, bytes - width);  // the last ones overlap
      columns(row + from, image.stride, weight, taps.count, out + from);
    }
    out += bytes;
    weight += taps.count;
  }
}

constexpr auto avx2_columns = vector_columns<32, columns32, plain_columns>;

VLALIGN_AVX512 inline __m128i rounded_bytes(__m512i sums) {
  const __m512i scaled = _mm512_srai_epi32(sums, Taps::weight_bits);
  return _mm512_cvtusepi32_epi8(_mm512_max_epi32(scaled, _mm512_setzero_si512()));
}

VLALIGN_AVX512 inline __m512i plus_product(__m512i sum, __m512i pixels, std::int32_t weight) {
  return _mm512_add_epi32(sum, _mm512_mullo_epi32(pixels, _mm512_set1_epi32(weight)));
}

VLALIGN_AVX512 void avx512_four_rows(const FourPixels* in, const Taps& taps, const std::array<std::uint8_t*, 4>& out) {
  const std::int32_t* weight = taps.weight.data();
  const std::ptrdiff_t last = channels * (static_cast<std::ptrdiff_t>(taps.first.size()) - 1);
  std::ptrdiff_t at = 0;
  for (const int first : taps.first) {
    __m512i sums = _mm512_set1_epi32(half);
    for (int j = 0; j < taps.count; ++j)
      sums = plus_product(sums, _mm512_load_si512(in[first + j].lanes.data()), *weight++);
    alignas(16) std::array<int, 4> pixel;
    _mm_store_si128(reinterpret_cast<__m128i*>(pixel.data()), rounded_bytes(sums));
    store_pixels(pixel.data(), at < last, at, out);
    at += channels;
  }
}

VLALIGN_AVX512 void columns64(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weight, int count,
                              std::uint8_t* out) {
  const __m512i start = _mm512_set1_epi32(half);
  __m512i sums[4] = {start, start, start, start};
  for (int j = 0; j < count; ++j) {
    for (int i = 0; i < 4; ++i) {
      const auto* sixteen = reinterpret_cast<const __m128i*>(in + j * stride + std::ptrdiff_t{16} * i);
      sums[i] = plus_product(sums[i], _mm512_cvtepu8_epi32(_mm_loadu_si128(sixteen)), weight[j]);
    }
  }
  for (int i = 0; i < 4; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(out) + i, rounded_bytes(sums[i]));
}

constexpr auto avx512_columns = vector_columns<64, columns64, avx2_columns>;
#endif

}  // namespace

std::span<const ResampleKernels> resample_kernels() {
  static constexpr ResampleKernels plain{plain_rows, plain_columns};
#if defined(__x86_64__)
  static constexpr ResampleKernels all[] = {
      plain, {vector_rows<avx2_four_rows>, avx2_columns}, {vector_rows<avx512_four_rows>, avx512_columns}};
  static const std::size_t usable = !__builtin_cpu_supports("avx2") ? 1 : !__builtin_cpu_supports("avx512bw") ? 2 : 3;
  return {all, usable};
#else
  return {&plain, 1};
#endif
}

}  // namespace vlalign
