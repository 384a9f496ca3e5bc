#include "train/histogram.hpp"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "vlalign/core/random.hpp"

namespace vlalign::histogram_test {
namespace {

TEST(Histogram, CountsAsALoopDoes) {
  Rng rng({1});
  std::vector<float> first, second;
  for (int i = 0; i < 700; ++i) first.push_back(static_cast<float>(rng.uniform(-3, 1)));
  for (int i = 0; i < 300; ++i) second.push_back(static_cast<float>(rng.uniform(0, 5) * rng.uniform()));
  const auto found = histogram_of({at::tensor(first).view({7, 100}).t(), at::tensor(second)});
  auto all = first;
  all.insert(all.end(), second.begin(), second.end());

  EXPECT_EQ(found.values, 1000);
  double sum = 0, squares = 0;
  for (const double value : all) sum += value, squares += value * value;
  EXPECT_NEAR(found.sum, sum, 1e-9);
  EXPECT_NEAR(found.sum_of_squares, squares, 1e-9);
  EXPECT_EQ(found.min, *std::min_element(all.begin(), all.end()));
  EXPECT_EQ(found.max, *std::max_element(all.begin(), all.end()));

  ASSERT_EQ(found.limits.size(), 64U);
  ASSERT_EQ(found.counts.size(), 64U);
  EXPECT_EQ(found.limits.back(), found.max);
  for (std::size_t i = 0; i < 64; ++i) {
    const auto from = i == 0 ? -std::numeric_limits<double>::infinity() : found.limits[i - 1];
    const auto within = [&](double value) { return value >= from && (value < found.limits[i] || i == 63); };
    EXPECT_EQ(found.counts[i], static_cast<double>(std::count_if(all.begin(), all.end(), within))) << "bucket " << i;
  }
}

TEST(Histogram, LeavesOutWhatIsNotFinite) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const auto found = histogram_of({at::tensor({1.0F, NAN, -infinity, 2.0F, infinity})});
  EXPECT_EQ(found.values, 2);
  EXPECT_EQ(found.min, 1);
  EXPECT_EQ(found.max, 2);
  EXPECT_EQ(found.sum_of_squares, 5);
  EXPECT_EQ(std::accumulate(found.counts.begin(), found.counts.end(), 0.0), 2);
  EXPECT_EQ(histogram_of({at::tensor({NAN}), at::tensor(std::vector<float>{})}).values, 0);
  EXPECT_EQ(histogram_of({}).values, 0);
}

TEST(Histogram, TakesEqualNumbersAndTheWidestRange) {
  const auto equal = histogram_of({at::tensor({0.5F, 0.5F, 0.5F})});
  EXPECT_EQ(equal.limits, std::vector<double>{0.5});
  EXPECT_EQ(equal.counts, std::vector<double>{3});
  constexpr float largest = std::numeric_limits<float>::max();
  const auto wide = histogram_of({at::tensor({-largest, 0.0F, largest})});
  EXPECT_EQ(wide.counts.front(), 1);
  EXPECT_EQ(wide.counts[32], 1);
  EXPECT_EQ(wide.counts.back(), 1);
  EXPECT_EQ(wide.limits.back(), largest);
}

}  // namespace
}  // namespace vlalign::histogram_test
