#include "export/size.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace vlalign::size_test {
namespace {

using onnx::Extent;
using onnx::Size;

const std::vector<Extent> texts{{2, 8}, {3, 8}, {2, 9}, {3, 9}, {5, 11}}, rows{{2}, {3}, {5}};

std::optional<Size> explained(const std::vector<Extent>& extents, const std::function<std::int64_t(Extent)>& of) {
  std::vector<std::int64_t> seen;
  for (const auto& extent : extents) seen.push_back(of(extent));
  return onnx::explain(seen, extents);
}

TEST(Size, IsFoundFromWhatWasSeen) {
  EXPECT_EQ(explained(texts, [](Extent) { return 7; }), (Size{.constant = 7}));
  EXPECT_EQ(explained(texts, [](Extent e) { return 77 - e.tokens; }), (Size{.constant = 77, .per_token = -1}));
  EXPECT_EQ(explained(texts, [](Extent e) { return 12 * e.rows * e.tokens; }), (Size{.per_both = 12}));
  EXPECT_EQ(explained(texts, [](Extent e) { return 3 * e.rows + 2 * e.tokens + 5 * e.rows * e.tokens - 4; }),
            (Size{.constant = -4, .per_row = 3, .per_token = 2, .per_both = 5}));
  EXPECT_EQ(explained(rows, [](Extent e) { return 8 * e.rows + 1; }), (Size{.constant = 1, .per_row = 8}));
}

TEST(Size, IsNothingForWhatNoSumOfProductsGives) {
  EXPECT_FALSE(explained(texts, [](Extent e) { return e.tokens * e.tokens; }));
  EXPECT_FALSE(explained(texts, [](Extent e) { return e.tokens / 2; }));
  EXPECT_FALSE(explained(rows, [](Extent e) { return e.rows * e.rows; }));
}

TEST(Size, IsSaidInWords) {
  EXPECT_EQ(to_string(Size{.constant = 3}), "3");
  EXPECT_EQ(to_string(Size{.per_row = 1}), "B");
  EXPECT_EQ(to_string(Size{.constant = -4, .per_row = 3, .per_token = -1, .per_both = 2}), "2 * B * L + 3 * B - L - 4");
  EXPECT_EQ(to_string(Size{.constant = 77, .per_token = -1}), "-L + 77");
}

}  // namespace
}  // namespace vlalign::size_test
