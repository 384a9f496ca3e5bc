#include "kernels/int8_tile.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace vlalign {
namespace {

using Sum = void (*)(const Int8Tile&);

/// Kernels for 1, 2, ... rows, as one that is called with their number.
template <const auto& kernels>
void sum_rows(const Int8Tile& tile, std::int64_t rows) {
  kernels[static_cast<std::size_t>(rows - 1)](tile);
}

std::int32_t four_codes(const std::int8_t* x) {
  std::int32_t four = 0;
  std::memcpy(&four, x, sizeof(four));
  return four;
}

void sum_plainly(const Int8Tile& tile, std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    std::array<std::int32_t, int8_panel_columns> sums{};
    std::copy_n(tile.first, int8_panel_columns, sums.begin());
    const auto* w = tile.panel;
    for (const auto *x = tile.x + r * tile.k, *end = x + tile.k; x != end; x += int8_group) {
      for (auto& sum : sums) {
        for (std::int64_t g = 0; g < int8_group; ++g) sum += std::int32_t{x[g]} * std::int32_t{w[g]};
        w += int8_group;
      }
    }
    std::copy(sums.begin(), sums.end(), tile.sums + r * int8_panel_columns);
  }
}

constexpr Int8Kernel plain{.most_rows = 16, .shift = 0, .sum = sum_plainly, .in_hardware = false};

#if defined(__x86_64__)
#define VLALIGN_AVX512_VNNI [[gnu::target("avx512f,avx512bw,avx512vl,avx512vnni")]]
#define VLALIGN_AVX2 [[gnu::target("avx2")]]

constexpr int no_sign = 128;  // vpdpbusd multiplies bytes without a sign by bytes with one

template <int rows>
VLALIGN_AVX512_VNNI void sum_avx512(const Int8Tile& tile) {
  __m512i sums[rows][2];
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = _mm512_loadu_si512(tile.first);
    sums[r][1] = _mm512_loadu_si512(tile.first + 16);
  }
  const auto *w = tile.panel, *next = tile.next;
  for (const auto *x = tile.x, *end = x + tile.k; x != end; x += int8_group, w += 128, next += 128) {
    _mm_prefetch(next, _MM_HINT_T0);
    _mm_prefetch(next + 64, _MM_HINT_T0);
    const auto left = _mm512_loadu_si512(w), right = _mm512_loadu_si512(w + 64);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const auto four = _mm512_set1_epi32(four_codes(x + r * tile.k));
      sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], four, left);
      sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], four, right);
    }
  }
  for (int r = 0; r < rows; ++r) {
    _mm512_storeu_si512(tile.sums + 32 * r, sums[r][0]);
    _mm512_storeu_si512(tile.sums + 32 * r + 16, sums[r][1]);
  }
}

/// sum += four * w, byte by byte, four neighbours each.
template <bool vnni>
VLALIGN_AVX2 inline __m256i multiply_add(__m256i sum, __m256i four, __m256i w) {
  if constexpr (vnni) {
    // As an instruction by name: compilers give it no target that all of them know.
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(four), "x"(w));
    return sum;
  }
  // Pairs fit 16 bits, since no code is -128: 2 * 127 * 127 = 32,258.
  const auto pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(four), _mm256_sign_epi8(w, four));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/// 16 columns, from `column` on.
template <bool vnni, int rows>
VLALIGN_AVX2 void sum_half(const Int8Tile& tile, std::int64_t column) {
  __m256i sums[rows][2];
  const auto* first = reinterpret_cast<const __m256i*>(tile.first + column);
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = _mm256_loadu_si256(first);
    sums[r][1] = _mm256_loadu_si256(first + 1);
  }
  const auto *w = tile.panel + int8_group * column, *next = tile.next + int8_group * column;
  for (const auto *x = tile.x, *end = x + tile.k; x != end; x += int8_group, w += 128, next += 128) {
    _mm_prefetch(next, _MM_HINT_T0);
    const auto* quads = reinterpret_cast<const __m256i*>(w);
    const auto left = _mm256_loadu_si256(quads), right = _mm256_loadu_si256(quads + 1);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const auto four = _mm256_set1_epi32(four_codes(x + r * tile.k));
      sums[r][0] = multiply_add<vnni>(sums[r][0], four, left);
      sums[r][1] = multiply_add<vnni>(sums[r][1], four, right);
    }
  }
  for (int r = 0; r < rows; ++r) {
    auto* out = reinterpret_cast<__m256i*>(tile.sums + 32 * r + column);
    _mm256_storeu_si256(out, sums[r][0]);
    _mm256_storeu_si256(out + 1, sums[r][1]);
  }
}

template <bool vnni, int rows>
void sum_avx2(const Int8Tile& tile) {
  sum_half<vnni, rows>(tile, 0);
  sum_half<vnni, rows>(tile, 16);
}

template <int... r>
constexpr auto kernels_avx512(std::integer_sequence<int, r...>) {
  return std::array<Sum, sizeof...(r)>{sum_avx512<r + 1>...};
}
template <bool vnni, int... r>
constexpr auto kernels_avx2(std::integer_sequence<int, r...>) {
  return std::array<Sum, sizeof...(r)>{sum_avx2<vnni, r + 1>...};
}

// As many as registers hold: 13 x 2 sums of 32, and 5 x 2 or 6 x 2 of 16.
constexpr auto with_avx512 = kernels_avx512(std::make_integer_sequence<int, 13>());
constexpr auto with_avx_vnni = kernels_avx2<true>(std::make_integer_sequence<int, 6>());
constexpr auto with_avx2 = kernels_avx2<false>(std::make_integer_sequence<int, 4>());

constexpr Int8Kernel avx512{
    .most_rows = with_avx512.size(), .shift = no_sign, .sum = sum_rows<with_avx512>, .in_hardware = true};
constexpr Int8Kernel avx_vnni{
    .most_rows = with_avx_vnni.size(), .shift = no_sign, .sum = sum_rows<with_avx_vnni>, .in_hardware = true};
constexpr Int8Kernel avx2{.most_rows = with_avx2.size(), .shift = 0, .sum = sum_rows<with_avx2>, .in_hardware = false};

bool has_avx_vnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned leaf = 7, subleaf = 1, bit = 4;
  return __get_cpuid_count(leaf, subleaf, &a, &b, &c, &d) != 0 && (a >> bit & 1) != 0;
}

const Int8Kernel& fastest() {
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return avx512;
  if (!__builtin_cpu_supports("avx2")) return plain;
  return has_avx_vnni() ? avx_vnni : avx2;
}
#elif defined(__aarch64__)
#define VLALIGN_DOT_PRODUCTS [[gnu::target("arch=armv8.2-a+dotprod")]]

/// 16 columns, from `column` on.
template <int rows>
VLALIGN_DOT_PRODUCTS void sum_half(const Int8Tile& tile, std::int64_t column) {
  int32x4_t sums[rows][4];
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < 4; ++i) sums[r][i] = vld1q_s32(tile.first + column + 4 * i);
  const auto *w = tile.panel + int8_group * column, *next = tile.next + int8_group * column;
  for (const auto *x = tile.x, *end = x + tile.k; x != end; x += int8_group, w += 128, next += 128) {
    __builtin_prefetch(next);
    const int8x16_t quads[4] = {vld1q_s8(w), vld1q_s8(w + 16), vld1q_s8(w + 32), vld1q_s8(w + 48)};
#pragma GCC unroll 8
    for (int r = 0; r < rows; ++r) {
      const auto four = vreinterpretq_s8_s32(vdupq_n_s32(four_codes(x + r * tile.k)));
      for (int i = 0; i < 4; ++i) sums[r][i] = vdotq_s32(sums[r][i], quads[i], four);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < 4; ++i) vst1q_s32(tile.sums + 32 * r + column + 4 * i, sums[r][i]);
}

template <int rows>
void sum_dot_products(const Int8Tile& tile) {
  sum_half<rows>(tile, 0);
  sum_half<rows>(tile, 16);
}

template <int... r>
constexpr auto kernels_of(std::integer_sequence<int, r...>) {
  return std::array<Sum, sizeof...(r)>{sum_dot_products<r + 1>...};
}

constexpr auto with_dot_products = kernels_of(std::make_integer_sequence<int, 6>());
constexpr Int8Kernel dot_products{
    .most_rows = with_dot_products.size(), .shift = 0, .sum = sum_rows<with_dot_products>, .in_hardware = true};

const Int8Kernel& fastest() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? dot_products : plain; }
#else
const Int8Kernel& fastest() { return plain; }
#endif

}  // namespace

const Int8Kernel& int8_kernel() {
  static const Int8Kernel& found = fastest();
  return found;
}

const Int8Kernel& plain_int8_kernel() { return plain; }

}  // namespace vlalign
