#include "kernels/attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/traced.hpp"

namespace vlalign {
namespace {

#if defined(__x86_64__)
#define VLALIGN_AVX512 [[gnu::target("avx512f,avx512bf16,avx512bw,avx512dq,avx512vl")]]

constexpr std::int64_t panel_width = 32;  // two vectors of 16
constexpr int most_sums = 13;             // with two vectors each they fill 26 of the 32 registers
constexpr std::int64_t block_rows = 2 * most_sums;
constexpr std::int64_t vector_width = 16;

std::int64_t panels_of(std::int64_t numbers) { return (numbers + panel_width - 1) / panel_width; }

/// Numbers of one type that a product takes in one step of its depth: bfloat16 goes by pairs.
template <typename T>
constexpr std::int64_t step = std::is_same_v<T, float> ? 1 : 2;

template <typename T>
std::int64_t steps_of(std::int64_t depth) {
  return (depth + step<T> - 1) / step<T>;
}

/// out[r][c] = sum over steps of x[r] times the panel's column c.
///   x: rows `x_step` numbers apart; panel: [steps, 32, step]; out: rows `out_step` numbers apart
template <typename T>
struct Sums {
  const T* x;
  std::int64_t x_step, steps;
  const T* panel;
  float* out;
  std::int64_t out_step;
};

template <int rows>
VLALIGN_AVX512 void add_up(const Sums<float>& all) {
  __m512 sums[rows][2];
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  const auto* x = all.x;
  const auto* w = all.panel;
  for (std::int64_t i = 0; i < all.steps; ++i, ++x, w += panel_width) {
    const auto left = _mm512_loadu_ps(w), right = _mm512_loadu_ps(w + vector_width);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      const auto number = _mm512_set1_ps(x[r * all.x_step]);
      sums[r][0] = _mm512_fmadd_ps(number, left, sums[r][0]);
      sums[r][1] = _mm512_fmadd_ps(number, right, sums[r][1]);
    }
  }
  for (int r = 0; r < rows; ++r) {
    _mm512_storeu_ps(all.out + r * all.out_step, sums[r][0]);
    _mm512_storeu_ps(all.out + r * all.out_step + vector_width, sums[r][1]);
  }
}

template <int rows>
VLALIGN_AVX512 void add_up(const Sums<at::BFloat16>& all) {
  __m512 sums[rows][2];
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_ps();
  const auto* x = all.x;
  const auto* w = all.panel;
  for (std::int64_t i = 0; i < all.steps; ++i, x += 2, w += 2 * panel_width) {
    const auto left = (__m512bh)_mm512_loadu_si512(w), right = (__m512bh)_mm512_loadu_si512(w + panel_width);
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r) {
      std::int32_t two = 0;
      std::memcpy(&two, x + r * all.x_step, sizeof(two));
      const auto both = (__m512bh)_mm512_set1_epi32(two);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], both, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], both, right);
    }
  }
  for (int r = 0; r < rows; ++r) {
    _mm512_storeu_ps(all.out + r * all.out_step, sums[r][0]);
    _mm512_storeu_ps(all.out + r * all.out_step + vector_width, sums[r][1]);
  }
}

template <typename T, int... r>
constexpr auto sums_kernels(std::integer_sequence<int, r...>) {
  return std::array<void (*)(const Sums<T>&), sizeof...(r)>{add_up<r + 1>...};
}

/// For any number of rows, in parts as even as can be.
template <typename T>
void add_up_rows(const Sums<T>& first, std::int64_t rows) {
  static constexpr auto kernels = sums_kernels<T>(std::make_integer_sequence<int, most_sums>());
  const auto parts = (rows + most_sums - 1) / most_sums;
  for (std::int64_t i = 0; i < parts; ++i) {
    const auto begin = rows * i / parts, end = rows * (i + 1) / parts;
    auto part = first;
    part.x += begin * part.x_step;
    part.out += begin * part.out_step;
    kernels[static_cast<std::size_t>(end - begin - 1)](part);
  }
}

constexpr __mmask16 all_lanes = 0xffff;

// GCC 12 takes what these stand for, without a mask, for a use of what isn't initialised (its bug 105593).
VLALIGN_AVX512 __m512 larger_of(__m512 a, __m512 b) { return _mm512_maskz_max_ps(all_lanes, a, b); }
VLALIGN_AVX512 __m512 nearest(__m512 x) { return _mm512_maskz_roundscale_ps(all_lanes, x, _MM_FROUND_TO_NEAREST_INT); }

VLALIGN_AVX512 std::array<float, vector_width> numbers_of(__m512 x) {
  std::array<float, vector_width> numbers{};
  _mm512_storeu_ps(numbers.data(), x);
  return numbers;
}

/// e^x for x up to 0, to two units in the last place; NaN stays NaN (Cephes' expf).
VLALIGN_AVX512 __m512 exp_of(__m512 given) {
  constexpr float least = -104;  // below it is 0
  const auto x = larger_of(_mm512_set1_ps(least), given);
  const auto n = nearest(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)));
  auto r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375F), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4F), r);
  auto y = _mm512_set1_ps(1.9875691500e-4F);
  for (const float c : {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F})
    y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(c));
  y = _mm512_fmadd_ps(y, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1)));
  return _mm512_maskz_scalef_ps(all_lanes, y, n);
}

VLALIGN_AVX512 __mmask16 lanes_of(std::int64_t left) {
  return static_cast<__mmask16>(left >= vector_width ? all_lanes : (1 << left) - 1);
}

VLALIGN_AVX512 void store(float* to, __m512 x, __mmask16 lanes) { _mm512_mask_storeu_ps(to, lanes, x); }
VLALIGN_AVX512 void store(at::BFloat16* to, __m512 x, __mmask16 lanes) {
  _mm256_mask_storeu_epi16(to, lanes, (__m256i)_mm512_cvtneps_pbh(x));
}

/// Logits of `count` keys to weights that aren't divided by their sum yet, zeros behind them up to a whole vector.
/// Returns the sum. weights may be where the logits are; mask: as many numbers, or null.
template <typename T>
VLALIGN_AVX512 float soften(float* logits, const float* mask, float scale, std::int64_t count, T* weights) {
  const auto factor = _mm512_set1_ps(scale), lowest = _mm512_set1_ps(-INFINITY);
  auto largest = lowest;
  for (std::int64_t i = 0; i < count; i += vector_width) {
    const auto lanes = lanes_of(count - i);
    auto x = _mm512_mul_ps(_mm512_loadu_ps(logits + i), factor);
    if (mask) x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(lanes, mask + i));
    x = _mm512_mask_mov_ps(lowest, lanes, x);
    _mm512_storeu_ps(logits + i, x);
    largest = larger_of(largest, x);
  }
  const auto tops = numbers_of(largest);
  const auto top = _mm512_set1_ps(*std::max_element(tops.begin(), tops.end()));
  auto sum = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < count; i += vector_width) {
    const auto lanes = lanes_of(count - i);
    const auto y = _mm512_maskz_mov_ps(lanes, exp_of(_mm512_sub_ps(_mm512_loadu_ps(logits + i), top)));
    sum = _mm512_add_ps(sum, y);
    store(weights + i, y, all_lanes);
  }
  const auto sums = numbers_of(sum);
  return std::accumulate(sums.begin(), sums.end(), 0.0F);
}

/// A panel's 32 columns of sums, times a number, to `count` of T.
template <typename T>
VLALIGN_AVX512 void scaled_to(const float* sums, float factor, std::int64_t count, T* out) {
  for (std::int64_t i = 0; i < count; i += vector_width)
    store(out + i, _mm512_mul_ps(_mm512_loadu_ps(sums + i), _mm512_set1_ps(factor)), lanes_of(count - i));
}

/// One head of one sequence.
template <typename T>
struct Head {
  const T* q;
  std::int64_t q_step;  // numbers from row to row
  const T* keys;        // panels of 32 keys: [S / 32, steps of D, 32, step]
  const T* values;      // panels of 32 channels: [D / 32, steps of S, 32, step]
  const float* mask;    // null without
  std::int64_t mask_step;
  T* out;
  std::int64_t out_step;
};

struct AttentionSizes {
  std::int64_t batch, heads, rows, keys, width;
  float scale;

  std::int64_t padded_keys() const { return panels_of(keys) * panel_width; }
  std::int64_t padded_width() const { return panels_of(width) * panel_width; }
};

/// What a thread works in.
template <typename T>
struct AttentionRoom {
  explicit AttentionRoom(const AttentionSizes& sizes)
      : logits(static_cast<std::size_t>(block_rows * sizes.padded_keys())),
        weights(static_cast<std::size_t>(block_rows * sizes.padded_keys())) {}
  std::vector<float> logits;
  std::vector<T> weights;
  std::array<float, block_rows> sums{};
  std::array<float, block_rows * panel_width> mixed{};
};

template <typename T>
void attend(const Head<T>& head, const AttentionSizes& sizes, std::int64_t first, std::int64_t rows,
            AttentionRoom<T>& room) {
  const auto line = sizes.padded_keys();
  const auto depth = steps_of<T>(sizes.width), key_steps = steps_of<T>(sizes.keys);
  for (std::int64_t p = 0; p < panels_of(sizes.keys); ++p)
    add_up_rows<T>({head.q + first * head.q_step, head.q_step, depth, head.keys + p * depth * step<T> * panel_width,
                    room.logits.data() + p * panel_width, line},
                   rows);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto* mask = head.mask ? head.mask + (first + r) * head.mask_step : nullptr;
    room.sums[static_cast<std::size_t>(r)] =
        soften(room.logits.data() + r * line, mask, sizes.scale, sizes.keys, room.weights.data() + r * line);
  }
  for (std::int64_t p = 0; p < panels_of(sizes.width); ++p) {
    add_up_rows<T>({room.weights.data(), line, key_steps, head.values + p * key_steps * step<T> * panel_width,
                    room.mixed.data(), panel_width},
                   rows);
    const auto count = std::min(panel_width, sizes.width - p * panel_width);
    for (std::int64_t r = 0; r < rows; ++r)
      scaled_to(room.mixed.data() + r * panel_width, 1 / room.sums[static_cast<std::size_t>(r)], count,
                head.out + (first + r) * head.out_step + p * panel_width);
  }
}

/// A head's keys in panels of 32, zeros where there are no more. k: rows `k_step` numbers apart.
template <typename T>
void pack_keys(const T* k, std::int64_t k_step, const AttentionSizes& sizes, T* panels) {
  const auto depth = steps_of<T>(sizes.width) * step<T>;
  for (std::int64_t key = 0; key < sizes.keys; ++key) {
    auto* to = panels + key / panel_width * depth * panel_width + key % panel_width * step<T>;
    for (std::int64_t i = 0; i < sizes.width; i += step<T>, to += panel_width * step<T>)
      std::memcpy(to, k + key * k_step + i, sizeof(T) * step<T>);
  }
}

/// A head's values in panels of 32 channels, likewise.
template <typename T>
void pack_values(const T* v, std::int64_t v_step, const AttentionSizes& sizes, T* panels) {
  const auto steps = steps_of<T>(sizes.keys);
  for (std::int64_t key = 0; key < sizes.keys; ++key)
    for (std::int64_t i = 0; i < sizes.width; ++i)
      panels[((i / panel_width * steps + key / step<T>)*panel_width + i % panel_width) * step<T> + key % step<T>] =
          v[key * v_step + i];
}

template <typename T>
at::Tensor attend_all(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask,
                      const AttentionSizes& s) {
  const at::Tensor out = at::empty({s.batch, s.rows, s.heads, s.width}, q.options());
  const auto key_panels = panels_of(s.keys) * steps_of<T>(s.width) * step<T> * panel_width;
  const auto value_panels = panels_of(s.width) * steps_of<T>(s.keys) * step<T> * panel_width;
  const at::Tensor packed = at::zeros({s.batch * s.heads, key_panels + value_panels}, q.options());
  auto* panels = packed.mutable_data_ptr<T>();
  const auto* queries = q.const_data_ptr<T>();
  const auto* keys = k.const_data_ptr<T>();
  const auto* values = v.const_data_ptr<T>();
  const auto* added = mask.defined() ? mask.const_data_ptr<float>() : nullptr;
  auto* result = out.mutable_data_ptr<T>();

  at::parallel_for(0, s.batch * s.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) {
      const auto b = i / s.heads, h = i % s.heads;
      auto* to = panels + i * (key_panels + value_panels);
      pack_keys(keys + b * k.stride(0) + h * k.stride(1), k.stride(2), s, to);
      pack_values(values + b * v.stride(0) + h * v.stride(1), v.stride(2), s, to + key_panels);
    }
  });
  const auto blocks = (s.rows + block_rows - 1) / block_rows;
  at::parallel_for(0, s.batch * s.heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    AttentionRoom<T> room(s);
    for (auto i = begin; i < end; ++i) {
      const auto head = i / blocks, b = head / s.heads, h = head % s.heads, block = i % blocks;
      const auto first = s.rows * block / blocks, last = s.rows * (block + 1) / blocks;
      const auto* own = panels + head * (key_panels + value_panels);
      const Head<T> whole{queries + b * q.stride(0) + h * q.stride(1),
                          q.stride(2),
                          own,
                          own + key_panels,
                          added ? added + b * mask.stride(0) + h * mask.stride(1) : nullptr,
                          added ? mask.stride(2) : 0,
                          result + (b * s.rows * s.heads + h) * s.width,
                          s.heads * s.width};
      attend(whole, s, first, last - first, room);
    }
  });
  return out.transpose(1, 2);
}

at::Tensor with_rows_dense(const at::Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

bool can_attend(at::ScalarType type) {
  static const bool float32 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool bfloat16 = float32 && __builtin_cpu_supports("avx512bf16");
  return type == at::kFloat ? float32 : type == at::kBFloat16 && bfloat16;
}
#endif

thread_local int without_blocks = 0;

}  // namespace

WithoutBlocks::WithoutBlocks() { ++without_blocks; }
WithoutBlocks::~WithoutBlocks() { --without_blocks; }

bool fits_blocks([[maybe_unused]] const at::Tensor& q, [[maybe_unused]] const at::Tensor& k,
                 [[maybe_unused]] const at::Tensor& v) {
#if defined(__x86_64__)
  const bool same = q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type();
  constexpr std::int64_t few_keys = 24;  // of one sequence: calling LibTorch's takes as long as computing
  return without_blocks == 0 && !is_traced() && !at::GradMode::is_enabled() &&
         (q.size(0) > 1 || k.size(-2) > few_keys) && q.is_cpu() && q.dim() == 4 && same &&
         can_attend(q.scalar_type()) && q.numel() > 0 && k.numel() > 0 && q.size(3) % 2 == 0 && k.sizes() == v.sizes();
#else
  return false;
#endif
}

at::Tensor attention_in_blocks([[maybe_unused]] const at::Tensor& q, [[maybe_unused]] const at::Tensor& k,
                               [[maybe_unused]] const at::Tensor& v, [[maybe_unused]] const at::Tensor& mask,
                               [[maybe_unused]] std::optional<double> scale) {
#if defined(__x86_64__)
  const AttentionSizes sizes{
      q.size(0), q.size(1), q.size(2),
      k.size(2), q.size(3), static_cast<float>(scale.value_or(1 / std::sqrt(static_cast<double>(q.size(3)))))};
  at::Tensor added;
  if (mask.defined())
    added = with_rows_dense(mask.to(at::kFloat)).expand({sizes.batch, sizes.heads, sizes.rows, sizes.keys});
  if (added.defined() && added.stride(3) != 1) added = added.contiguous();
  const auto run = q.scalar_type() == at::kFloat ? attend_all<float> : attend_all<at::BFloat16>;
  return run(with_rows_dense(q), with_rows_dense(k), with_rows_dense(v), added, sizes);
#else
  return {};
#endif
}

}  // namespace vlalign
