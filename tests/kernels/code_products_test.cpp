#include "kernels/code_products.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

namespace vlalign::test::code_products_test {
namespace {

/// Worked in 64 bits, one product after the other.
std::vector<std::int64_t> plain_products(const std::vector<std::int8_t>& codes,
                                         const std::vector<std::int16_t>& query) {
  std::vector<std::int64_t> sums(codes.size() / query.size(), 0);
  for (std::size_t i = 0; i < codes.size(); ++i)
    sums[i / query.size()] += std::int64_t{codes[i]} * std::int64_t{query[i % query.size()]};
  return sums;
}

void expect_plain(const std::vector<std::int8_t>& codes, const std::vector<std::int16_t>& query) {
  const auto expected = plain_products(codes, query);
  std::vector<std::int32_t> out(expected.size(), -1);
  code_products(codes.data(), std::ssize(out), std::ssize(query), query.data(), out.data());
  EXPECT_EQ((std::vector<std::int64_t>{out.begin(), out.end()}), expected) << query.size();
}

TEST(CodeProducts, AreThoseOfPlainLoops) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int> code(-127, 127);
  for (std::size_t width = 1; width < 200; width += width < 70 ? 1 : 13) {
    const auto most = largest_query_number(static_cast<std::int64_t>(width));
    std::uniform_int_distribution<int> number(-most, most);
    std::vector<std::int8_t> codes(7 * width);
    std::vector<std::int16_t> query(width);
    for (auto& each : codes) each = static_cast<std::int8_t>(code(random));
    for (auto& each : query) each = static_cast<std::int16_t>(number(random));
    expect_plain(codes, query);
  }
}

TEST(CodeProducts, OfTheLargestNumbersStayWithin32Bits) {
  for (const std::size_t width : {1, 512, 517, 4096, 70'001}) {
    const auto most = static_cast<std::int16_t>(largest_query_number(static_cast<std::int64_t>(width)));
    ASSERT_GT(most, 0);
    EXPECT_LE(std::int64_t{127} * most * static_cast<std::int64_t>(width), std::numeric_limits<std::int32_t>::max());
    for (const int sign : {-127, 127})
      expect_plain(std::vector<std::int8_t>(width, static_cast<std::int8_t>(sign)),
                   std::vector<std::int16_t>(width, most));
  }
  EXPECT_EQ(largest_query_number(512), 32767);
  EXPECT_EQ(largest_query_number(std::int64_t{1} << 40), 0);
}

}  // namespace
}  // namespace vlalign::test::code_products_test
