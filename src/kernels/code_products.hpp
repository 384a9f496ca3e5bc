// Products of rows of 8-bit numbers with one row of 16-bit numbers. Internal.
#pragma once

#include <cstdint>

namespace vlalign {

/// The largest magnitude of the query's numbers with which no sum of `width` products can leave 32 bits, at most 32767;
/// 0 where there is none.
std::int32_t largest_query_number(std::int64_t width);

/// out[i] = sum over j of codes[i, j] query[j], exactly.
///   codes: [rows, width], -127 to 127; query: [width], at most largest_query_number(width); out: [rows]
void code_products(const std::int8_t* codes, std::int64_t rows, std::int64_t width, const std::int16_t* query,
                   std::int32_t* out);

}  // namespace vlalign
