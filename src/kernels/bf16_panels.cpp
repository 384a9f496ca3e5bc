#include "kernels/bf16_panels.hpp"

#include <ATen/DimVector.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vlalign {
namespace {

constexpr std::int64_t panel_rows = 32;

#if defined(__x86_64__)
#define VLALIGN_AVX512_BF16 [[gnu::target("avx512f,avx512bf16,avx512bw,avx512vl")]]

/// What a kernel needs for a block of x's rows and one panel. Rows of x and of the result are K and N numbers apart.
struct Block {
  const at::BFloat16* x;
  std::int64_t k;
  const at::BFloat16* panel;
  const float* bias;
  at::BFloat16* out;
  std::int64_t n;
  const char* next;  ///< the panel to fetch meanwhile
};

/// rows x 32 sums stay in registers: with 13 rows they fill 26 of the 32.
template <int rows>
VLALIGN_AVX512_BF16 void multiply(const Block& block) {
  __m512 sums[rows][2];
  for (int r = 0; r < rows; ++r) {
    sums[r][0] = _mm512_loadu_ps(block.bias);
    sums[r][1] = _mm512_loadu_ps(block.bias + 16);
  }
  const auto* x = block.x;
  const auto* w = block.panel;
  const char* next = block.next;
  for (std::int64_t pair = 0; pair < block.k / 2; ++pair, w += 2 * panel_rows, next += 4 * panel_rows) {
    const auto left = (__m512bh)_mm512_loadu_si512(w), right = (__m512bh)_mm512_loadu_si512(w + panel_rows);
    _mm_prefetch(next, _MM_HINT_T0);
    _mm_prefetch(next + 2 * panel_rows, _MM_HINT_T0);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      std::int32_t two = 0;
      std::memcpy(&two, x + r * block.k, sizeof(two));
      const auto both = (__m512bh)_mm512_set1_epi32(two);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], both, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], both, right);
    }
    x += 2;
  }
  for (int r = 0; r < rows; ++r) {
    auto* out = reinterpret_cast<__m256i*>(block.out + r * block.n);
    _mm256_storeu_si256(out, (__m256i)_mm512_cvtneps_pbh(sums[r][0]));
    _mm256_storeu_si256(out + 1, (__m256i)_mm512_cvtneps_pbh(sums[r][1]));
  }
}

constexpr int most_rows = 13;

template <int... r>
constexpr auto kernels_of(std::integer_sequence<int, r...>) {
  return std::array<void (*)(const Block&), sizeof...(r)>{multiply<r + 1>...};
}

/// All rows of x with one panel, in blocks as even as can be.
void multiply_panel(const Block& first, std::int64_t rows) {
  static constexpr auto kernels = kernels_of(std::make_integer_sequence<int, most_rows>());
  const auto blocks = (rows + most_rows - 1) / most_rows;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto begin = rows * i / blocks, end = rows * (i + 1) / blocks;
    auto block = first;
    block.x += begin * block.k;
    block.out += begin * block.n;
    if (i + 1 < blocks) block.next = reinterpret_cast<const char*>(block.panel);  // in the cache: costs nothing
    kernels[static_cast<std::size_t>(end - begin - 1)](block);
  }
}
#endif

}  // namespace

bool has_bf16_products() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

bool fits_panels(const at::Tensor& w) {
  return has_bf16_products() && w.is_cpu() && w.scalar_type() == at::kBFloat16 && w.dim() == 2 && w.numel() > 0 &&
         w.size(0) % panel_rows == 0 && w.size(1) % 2 == 0;
}

at::Tensor to_panels(const at::Tensor& w) {
  return w.view({w.size(0) / panel_rows, panel_rows, w.size(1) / 2, 2}).transpose(1, 2).contiguous();
}

at::Tensor product_with_panels([[maybe_unused]] const at::Tensor& x, const at::Tensor& panels,
                               [[maybe_unused]] const at::Tensor& bias) {
  const auto n = panels.size(0) * panel_rows;
  at::DimVector shape(x.sizes());
  shape.back() = n;
  const auto out = at::empty(shape, x.options());
#if defined(__x86_64__)
  const auto k = panels.size(1) * 2;
  const auto rows = x.contiguous();
  const auto added = bias.defined() ? bias.to(at::kFloat).contiguous() : at::zeros({n});
  const Block whole{rows.const_data_ptr<at::BFloat16>(),
                    k,
                    panels.const_data_ptr<at::BFloat16>(),
                    added.const_data_ptr<float>(),
                    out.mutable_data_ptr<at::BFloat16>(),
                    n,
                    reinterpret_cast<const char*>(panels.const_data_ptr())};
  at::parallel_for(0, panels.size(0), /*grain_size=*/4, [&](std::int64_t begin, std::int64_t end) {
    for (auto p = begin; p < end; ++p) {
      auto block = whole;
      block.panel += p * k * panel_rows;
      block.bias += p * panel_rows;
      block.out += p * panel_rows;
      block.next = reinterpret_cast<const char*>(p + 1 < end ? block.panel + k * panel_rows : block.panel);
      multiply_panel(block, x.numel() / k);
    }
  });
#endif
  return out;
}

}  // namespace vlalign
