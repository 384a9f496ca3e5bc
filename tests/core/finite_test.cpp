#include "core/finite.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::finite_test {
namespace {

using test::message_of;

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

TEST(AllFinite, SeesASingleBadNumberWhereverItStands) {
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kHalf}) {
    for (const double bad : {nan, infinity, -infinity}) {
      for (const std::int64_t place : {0, 1, 17, 35, 69}) {
        auto x = at::ones({7, 10}, dtype);
        EXPECT_TRUE(all_finite(x));
        x.view(-1)[place].fill_(bad);
        EXPECT_FALSE(all_finite(x)) << dtype << " " << bad << " at " << place;
        EXPECT_EQ(first_bad_row(x), place / 10);
      }
    }
  }
}

TEST(AllFinite, HoldsForTheLargestNumbersForIntegersAndForNone) {
  EXPECT_TRUE(all_finite(at::full({2, 3}, std::numeric_limits<float>::max())));
  EXPECT_TRUE(all_finite(at::full({2}, std::numeric_limits<std::int64_t>::max(), at::kLong)));
  EXPECT_TRUE(all_finite(at::zeros({0, 3})));
  EXPECT_TRUE(all_finite(at::Tensor()));
  EXPECT_TRUE(all_finite(std::vector<float>{}));
}

TEST(AllFinite, IsTheSameForFloatsInARow) {
  std::vector<float> x(9, 1.0F);
  EXPECT_TRUE(all_finite(x));
  for (std::size_t i = 0; i < x.size(); ++i) {
    auto bad = x;
    bad[i] = static_cast<float>(i % 2 == 0 ? nan : infinity);
    EXPECT_FALSE(all_finite(bad));
  }
}

TEST(CopyNumbers, TakesAnyFloatingRowOfTheSameCount) {
  std::vector<float> out(3);
  copy_numbers(at::full({1, 3}, 0.5, at::kDouble), out, "[test] row");
  EXPECT_EQ(out, (std::vector<float>{0.5F, 0.5F, 0.5F}));
  copy_numbers(at::ones({3, 2}, at::kBFloat16).select(1, 1), out, "[test] row");  // not contiguous
  EXPECT_EQ(out, (std::vector<float>{1, 1, 1}));
}

TEST(CopyNumbers, RefusesAnotherCountAndWhatIsNoNumber) {
  std::vector<float> out(3);
  const auto complaint = [&](const at::Tensor& x) {
    return message_of<Error>([&] { copy_numbers(x, out, "[test] row"); });
  };
  EXPECT_EQ(complaint(at::ones({1, 4})), "[test] row: expected 3 numbers, got 4");
  EXPECT_EQ(complaint(at::ones({1, 2})), "[test] row: expected 3 numbers, got 2");
  EXPECT_EQ(complaint(at::Tensor()), "[test] row: expected 3 numbers, got 0");
  EXPECT_EQ(complaint(at::ones({3}, at::kLong)), "[test] row: expected 3 floating numbers, got Long");
}

}  // namespace
}  // namespace vlalign::finite_test
