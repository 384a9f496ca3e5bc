// Rows of numbers to bytes and sums of bytes back to numbers, with vectors. Internal.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>

namespace vlalign {

/// out[k] = clamp(round(x[k] * scale[k] - centre[k]), -127, 127) + shift, halves to even; `shift` is 0, or 128 for
/// bytes without a sign. Returns whether all of x is finite.
bool row_to_bytes(const float* x, const float* scale, const float* centre, std::int64_t k, int shift, std::int8_t* out);
bool row_to_bytes(const c10::BFloat16* x, const float* scale, const float* centre, std::int64_t k, int shift,
                  std::int8_t* out);

/// out[r * n + i] = sums[r * 32 + i] * scale[i] + bias[i], i below 32.
void sums_to_rows(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                  float* out);
void sums_to_rows(const std::int32_t* sums, std::int64_t rows, const float* scale, const float* bias, std::int64_t n,
                  c10::BFloat16* out);

}  // namespace vlalign
