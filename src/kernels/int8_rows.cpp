// With vectors of whatever width the processor has: Highway compiles this file once for each.
#include "kernels/int8_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

// Vectors whose length is known only at run time need not divide the 32 sums.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#define HWY_TARGET_INCLUDE "kernels/int8_rows.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "kernels/int8_product.hpp"

HWY_BEFORE_NAMESPACE();
namespace vlalign {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr float largest_code = largest_int8_code;

constexpr hn::ScalableTag<float> floats_tag;
constexpr hn::Rebind<std::int32_t, decltype(floats_tag)> wholes_tag;
constexpr hn::Rebind<std::uint32_t, decltype(floats_tag)> bits_tag;
constexpr hn::Rebind<std::uint16_t, decltype(floats_tag)> halves_tag;
constexpr hn::Rebind<std::int8_t, decltype(floats_tag)> bytes_tag;
using Floats = hn::Vec<decltype(floats_tag)>;

HWY_INLINE Floats load(const float* x) { return hn::LoadU(floats_tag, x); }

HWY_INLINE Floats load(const c10::BFloat16* x) {
  const auto halves = hn::LoadU(halves_tag, reinterpret_cast<const std::uint16_t*>(x));
  return hn::BitCast(floats_tag, hn::ShiftLeft<16>(hn::PromoteTo(bits_tag, halves)));
}

HWY_INLINE void store(Floats y, float* out) { hn::StoreU(y, floats_tag, out); }

/// Rounded to the nearest bfloat16, halves to even; y is finite.
HWY_INLINE void store(Floats y, c10::BFloat16* out) {
  const auto bits = hn::BitCast(bits_tag, y);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(bits_tag, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(bits_tag, 0x7FFF))));
  hn::StoreU(hn::TruncateTo(halves_tag, rounded), halves_tag, reinterpret_cast<std::uint16_t*>(out));
}

template <class T>
HWY_INLINE bool to_bytes(const T* x, const float* scale, const float* centre, std::int64_t k, int shift,
                         std::int8_t* out) {
  constexpr auto lanes = static_cast<std::int64_t>(hn::MaxLanes(floats_tag));
  const auto most = hn::Set(floats_tag, largest_code), least = hn::Set(floats_tag, -largest_code);
  const auto shifts = hn::Set(wholes_tag, shift);
  auto differences = hn::Zero(floats_tag);  // of each number and itself: 0 but for NaN and infinities
  std::int64_t i = 0;
  for (; i + lanes <= k; i += lanes) {
    const auto number = load(x + i);
    differences = hn::Add(differences, hn::Sub(number, number));
    const auto value = hn::Sub(hn::Mul(number, load(scale + i)), load(centre + i));
    const auto whole = hn::NearestInt(hn::Min(hn::Max(value, least), most));
    // Bytes without a sign wrap: 255 is -1.
    const auto wrapped = hn::ShiftRight<24>(hn::ShiftLeft<24>(hn::Add(whole, shifts)));
    hn::StoreU(hn::DemoteTo(bytes_tag, wrapped), bytes_tag, out + i);
  }
  float difference = hn::GetLane(hn::SumOfLanes(floats_tag, differences));
  for (; i < k; ++i) {
    const auto number = static_cast<float>(x[i]);
    difference += number - number;
    const float scaled = number * scale[i];
    const float value = std::clamp(scaled - centre[i], -largest_code, largest_code);
    const int whole = std::isnan(value) ? 0 : static_cast<int>(std::nearbyint(value));
    out[i] = static_cast<std::int8_t>(whole + shift);
  }
  return difference == 0;
}

bool floats_to_bytes(const float* x, const float* scale, const float* centre, std::int64_t k, int shift,
                     std::int8_t* out) {
  return to_bytes(x, scale, centre, k, shift, out);
}

bool bfloats_to_bytes(const c10::BFloat16* x, const float* scale, const float* centre, std::int64_t k, int shift,
                      std::int8_t* out) {
  return to_bytes(x, scale, centre, k, shift, out);
}

template <class T>
HWY_INLINE void from_sums(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias,
                          std::int64_t n, T* out) {
  constexpr std::size_t columns = 32;
  for (std::int64_t r = 0; r < rows; ++r, sums += columns, out += n) {
    for (std::size_t i = 0; i < columns; i += hn::MaxLanes(floats_tag)) {
      const auto whole = hn::ConvertTo(floats_tag, hn::LoadU(wholes_tag, sums + i));
      store(hn::MulAdd(whole, load(scale + i), load(bias + i)), out + i);
    }
  }
}

void sums_to_floats(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                    float* out) {
  from_sums(sums, rows, scale, bias, n, out);
}

void sums_to_bfloats(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                     c10::BFloat16* out) {
  from_sums(sums, rows, scale, bias, n, out);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vlalign
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vlalign {

HWY_EXPORT(floats_to_bytes);
HWY_EXPORT(bfloats_to_bytes);
HWY_EXPORT(sums_to_floats);
HWY_EXPORT(sums_to_bfloats);

bool row_to_bytes(const float* x, const float* scale, const float* centre, std::int64_t k, int shift,
                  std::int8_t* out) {
  return HWY_DYNAMIC_DISPATCH(floats_to_bytes)(x, scale, centre, k, shift, out);
}

bool row_to_bytes(const c10::BFloat16* x, const float* scale, const float* centre, std::int64_t k, int shift,
                  std::int8_t* out) {
  return HWY_DYNAMIC_DISPATCH(bfloats_to_bytes)(x, scale, centre, k, shift, out);
}

void sums_to_rows(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                  float* out) {
  HWY_DYNAMIC_DISPATCH(sums_to_floats)(sums, rows, scale, bias, n, out);
}

void sums_to_rows(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                  c10::BFloat16* out) {
  HWY_DYNAMIC_DISPATCH(sums_to_bfloats)(sums, rows, scale, bias, n, out);
}

}  // namespace vlalign
#endif
