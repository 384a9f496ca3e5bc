#include "vlalign/core/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "vlalign/core/error.hpp"

namespace vlalign::latency_histogram_test {
namespace {

constexpr double most_off = 0.03;

TEST(LatencyHistogram, GivesTheQuantilesOfSortedSamplesWithinThreePercent) {
  std::mt19937 random(3);
  std::lognormal_distribution<double> usual(std::log(0.02), 0.7);
  std::uniform_real_distribution<double> wide(std::log(1e-6), std::log(100.0));
  for (const bool all_scales : {false, true}) {
    LatencyHistogram histogram;
    std::vector<double> samples(10'000);
    for (auto& sample : samples) {
      sample = all_scales ? std::exp(wide(random)) : usual(random);
      histogram.record(sample);
    }
    std::sort(samples.begin(), samples.end());
    for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = std::max(1.0, std::ceil(q * static_cast<double>(samples.size())));
      const double expected = samples[static_cast<std::size_t>(rank) - 1];
      EXPECT_NEAR(histogram.quantile(q), expected, most_off * expected) << q;
    }
    EXPECT_EQ(histogram.count(), 10'000);
  }
}

TEST(LatencyHistogram, CutsDurationsToItsRange) {
  LatencyHistogram histogram;
  for (const double seconds : {-1.0, 0.0, 1e-9}) histogram.record(seconds);
  EXPECT_NEAR(histogram.quantile(1), 1e-6, most_off * 1e-6);
  for (int i = 0; i < 4; ++i) histogram.record(std::numeric_limits<double>::infinity());
  EXPECT_NEAR(histogram.quantile(1), 100, most_off * 100);
  histogram.record(NAN);
  EXPECT_EQ(histogram.count(), 7);
}

TEST(LatencyHistogram, ForgetsEverythingAtAReset) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0);
  histogram.record(1);
  histogram.reset();
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_EQ(histogram.quantile(0.5), 0);
}

TEST(LatencyHistogram, RefusesAShareThatIsNone) {
  EXPECT_THROW(LatencyHistogram().quantile(1.5), Error);
  EXPECT_THROW(LatencyHistogram().quantile(NAN), Error);
}

}  // namespace
}  // namespace vlalign::latency_histogram_test
