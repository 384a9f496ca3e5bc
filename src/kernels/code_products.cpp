// With vectors of whatever width the processor has: Highway compiles this file once for each.
#include "kernels/code_products.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>

#define HWY_TARGET_INCLUDE "kernels/code_products.cpp"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace vlalign {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

const hn::ScalableTag<std::int16_t> numbers_tag;
const hn::Rebind<std::int8_t, decltype(numbers_tag)> codes_tag;
const hn::Repartition<std::int32_t, decltype(numbers_tag)> sums_tag;

void multiply_codes(const std::int8_t* codes, std::int64_t rows, std::int64_t width, const std::int16_t* query,
                    std::int32_t* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(numbers_tag));
  for (std::int64_t i = 0; i < rows; ++i, codes += width) {
    auto even = hn::Zero(sums_tag), odd = hn::Zero(sums_tag);
    std::int64_t j = 0;
    for (; j + lanes <= width; j += lanes) {
      const auto wide = hn::PromoteTo(numbers_tag, hn::LoadU(codes_tag, codes + j));
      even = hn::ReorderWidenMulAccumulate(sums_tag, wide, hn::LoadU(numbers_tag, query + j), even, odd);
    }
    auto sum = hn::GetLane(hn::SumOfLanes(sums_tag, hn::Add(even, odd)));
    for (; j < width; ++j) sum += std::int32_t{codes[j]} * std::int32_t{query[j]};
    out[i] = sum;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace vlalign
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace vlalign {

HWY_EXPORT(multiply_codes);

std::int32_t largest_query_number(std::int64_t width) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max() / 127;
  return static_cast<std::int32_t>(std::min<std::int64_t>(std::numeric_limits<std::int16_t>::max(), most / width));
}

void code_products(const std::int8_t* codes, std::int64_t rows, std::int64_t width, const std::int16_t* query,
                   std::int32_t* out) {
  HWY_DYNAMIC_DISPATCH(multiply_codes)(codes, rows, width, query, out);
}

}  // namespace vlalign
#endif
