#include "vlalign/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>

#include "core/random_permutation.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::random_test {
namespace {

TEST(Rng, RepeatsForTheSameKeyAndDiffersForAnother) {
  Rng a({7, 1, 2}), same({7, 1, 2}), other({7, 2, 1});
  const auto first = a.next();
  EXPECT_EQ(first, same.next());
  EXPECT_NE(first, other.next());
  EXPECT_NE(first, a.next());
}

TEST(Rng, UniformHasTheMomentsOfAUniformVariable) {
  Rng rng({3});
  constexpr int n = 100'000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.uniform();
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x, squares += x * x;
  }
  EXPECT_NEAR(sum / n, 1.0 / 2, 0.005);      // standard error 0.0009
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.005);  // standard error 0.0009
}

TEST(Rng, BelowIsEvenOverItsRange) {
  Rng rng({5});
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts[static_cast<std::size_t>(rng.below(6))];
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 10'000.0) * (count - 10'000.0) / 10'000.0;
  EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom, p = 0.001
}

TEST(Rng, KeysThatDifferInOneBitGiveUnrelatedStreams) {
  // Half of the 64 bits differ on average; 1000 pairs put the mean within 0.13 of 32.
  double differing = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) differing += std::popcount(Rng({i, 0}).next() ^ Rng({i, 1}).next());
  EXPECT_NEAR(differing / 1000, 32.0, 0.8);
}

TEST(RandomPermutation, HoldsEachIndexOnce) {
  auto order = random_permutation(1000, {1, 2});
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  std::vector<std::int64_t> expected(1000);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
}

TEST(RandomPermutation, AllOrdersOfThreeAreEquallyLikely) {
  std::array<int, 27> counts{};
  for (std::uint64_t i = 0; i < 6000; ++i) {
    const auto order = random_permutation(3, {i});
    ++counts[static_cast<std::size_t>(order[0] * 9 + order[1] * 3 + order[2])];
  }
  EXPECT_EQ(std::count_if(counts.begin(), counts.end(), [](int c) { return c > 0; }), 6);
  for (const int count : counts) {
    if (count > 0) {
      EXPECT_NEAR(count, 1000, 130);  // standard deviation 29
    }
  }
}

TEST(Rng, RefusesARangeWithoutNumbers) {
  Rng rng({1});
  EXPECT_THROW(rng.below(0), Error);
  EXPECT_THROW(rng.below(-1), Error);
  EXPECT_THROW(random_permutation(-1, {1}), Error);
  EXPECT_TRUE(random_permutation(0, {1}).empty());
}

}  // namespace
}  // namespace vlalign::random_test
