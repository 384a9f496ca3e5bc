#include "vlalign/eval/bootstrap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

using vlalign::bootstrap_interval;
using vlalign::Interval;
using vlalign::paired_bootstrap;
using vlalign::Rng;

std::vector<double> hits(std::int64_t n, std::int64_t right) {
  std::vector<double> values(static_cast<std::size_t>(n), 0.0);
  std::fill_n(values.begin(), right, 1.0);
  return values;
}

std::vector<double> skewed_values(std::size_t n, Rng& rng) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(-std::log(1.0 - rng.uniform()));
  return values;
}

/// Draws whole groups one by one: the 2.5th and 97.5th percentile of the means.
Interval by_drawing(const std::vector<std::vector<double>>& groups, int resamples) {
  Rng rng({99});
  std::vector<double> means;
  for (int r = 0; r < resamples; ++r) {
    double sum = 0.0, count = 0.0;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const auto& drawn = groups[static_cast<std::size_t>(rng.below(std::ssize(groups)))];
      sum += std::accumulate(drawn.begin(), drawn.end(), 0.0);
      count += static_cast<double>(drawn.size());
    }
    means.push_back(sum / count);
  }
  std::sort(means.begin(), means.end());
  const auto n = static_cast<double>(resamples);
  return {means[static_cast<std::size_t>(0.025 * n)], means[static_cast<std::size_t>(0.975 * n)]};
}

TEST(BootstrapInterval, OfAShareIsThatOfTheNormalApproximation) {
  const auto found = bootstrap_interval(hits(10'000, 3'000), {.resamples = 20'000});
  const double half = 1.959964 * std::sqrt(0.3 * 0.7 / 10'000);
  // a percentile of 20,000 means has a standard error of a fiftieth of their standard deviation
  EXPECT_NEAR(found.low, 0.3 - half, 0.0005);
  EXPECT_NEAR(found.high, 0.3 + half, 0.0005);
}

TEST(BootstrapInterval, EqualsDrawingValuesOneByOne) {
  Rng rng({1});
  const auto values = skewed_values(40, rng);
  std::vector<std::vector<double>> alone;
  for (const auto value : values) alone.push_back({value});
  const auto expected = by_drawing(alone, 40'000);
  const auto found = bootstrap_interval(values, {.resamples = 40'000});
  EXPECT_NEAR(found.low, expected.low, 0.02 * (expected.high - expected.low));
  EXPECT_NEAR(found.high, expected.high, 0.02 * (expected.high - expected.low));
}

TEST(BootstrapInterval, OfGroupsEqualsDrawingGroupsOneByOne) {
  Rng rng({2});
  std::vector<std::vector<double>> groups;
  std::vector<double> values;
  std::vector<std::int64_t> group_of;
  for (std::int64_t g = 0; g < 30; ++g) {
    const double level = rng.uniform();
    groups.emplace_back();
    for (std::int64_t i = 0; i <= rng.below(5); ++i) {
      groups.back().push_back(level + 0.1 * rng.uniform());
      values.push_back(groups.back().back());
      group_of.push_back(g);
    }
  }
  const auto expected = by_drawing(groups, 40'000);
  const auto found = bootstrap_interval(values, group_of, {.resamples = 40'000});
  EXPECT_NEAR(found.low, expected.low, 0.02 * (expected.high - expected.low));
  EXPECT_NEAR(found.high, expected.high, 0.02 * (expected.high - expected.low));
}

TEST(BootstrapInterval, OfFiveEqualCaptionsAPictureIsThatOfThePictures) {
  const auto pictures = hits(200, 80);
  std::vector<double> captions;
  std::vector<std::int64_t> picture_of;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    captions.insert(captions.end(), 5, pictures[i]);
    picture_of.insert(picture_of.end(), 5, static_cast<std::int64_t>(i));
  }
  const auto of_pictures = bootstrap_interval(pictures);
  const auto of_captions = bootstrap_interval(captions, picture_of);
  EXPECT_NEAR(of_captions.low, of_pictures.low, 1e-12);
  EXPECT_NEAR(of_captions.high, of_pictures.high, 1e-12);
  const auto as_if_independent = bootstrap_interval(captions);
  EXPECT_LT(as_if_independent.high - as_if_independent.low, 0.6 * (of_captions.high - of_captions.low));
}

TEST(BootstrapInterval, OfGroupsOfOneIsThatOfTheValues) {
  Rng rng({3});
  const auto values = skewed_values(25, rng);
  std::vector<std::int64_t> alone(values.size());
  std::iota(alone.begin(), alone.end(), 7);  // some numbers have no value
  const auto a = bootstrap_interval(values);
  const auto b = bootstrap_interval(values, alone);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
}

TEST(BootstrapInterval, HoldsTheTruthNineteenTimesInTwenty) {
  Rng rng({4});
  int held = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<double> values;
    for (int i = 0; i < 300; ++i) values.push_back(rng.chance(0.4) ? 1.0 : 0.0);
    const auto [low, high] = bootstrap_interval(values, {.seed = static_cast<std::uint64_t>(trial)});
    held += low <= 0.4 && 0.4 <= high;
  }
  EXPECT_GT(held, 362);  // 380 expected, standard error 4.4
  EXPECT_LT(held, 396);
}

TEST(BootstrapInterval, IsNarrowerWithLessConfidence) {
  const auto wide = bootstrap_interval(hits(500, 100), {.confidence = 0.95});
  const auto narrow = bootstrap_interval(hits(500, 100), {.confidence = 0.5});
  EXPECT_LT(wide.low, narrow.low);
  EXPECT_LT(narrow.high, wide.high);
}

TEST(BootstrapInterval, OfEqualValuesIsThatValue) {
  const auto all = bootstrap_interval(hits(50, 50));
  EXPECT_EQ(all.low, 1.0);
  EXPECT_EQ(all.high, 1.0);
  const auto one = bootstrap_interval(std::vector<double>{0.25}, {.resamples = 1});
  EXPECT_EQ(one.low, 0.25);
  EXPECT_EQ(one.high, 0.25);
}

TEST(BootstrapInterval, IsTheSameForTheSameSeed) {
  Rng rng({5});
  const auto values = skewed_values(60, rng);
  EXPECT_EQ(bootstrap_interval(values, {.seed = 1}).low, bootstrap_interval(values, {.seed = 1}).low);
  EXPECT_NE(bootstrap_interval(values, {.seed = 1}).low, bootstrap_interval(values, {.seed = 2}).low);
}

TEST(BootstrapInterval, OfAMillionQueriesIsDrawnExactly) {
  const auto [low, high] = bootstrap_interval(hits(1'000'000, 500'000));
  EXPECT_NEAR(high - low, 2 * 1.959964 * 0.5 / 1000.0, 2e-4);
}

TEST(BootstrapInterval, SaysWhichArgumentIsWrong) {
  const std::vector<double> values{1.0, 0.0};
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([] { bootstrap_interval(std::vector<double>{}); }),
            "[bootstrap_interval] values: expected at least one");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([] {
              bootstrap_interval(std::vector<double>{0.0, std::numeric_limits<double>::quiet_NaN()});
            }),
            "[bootstrap_interval] values: entry 1 is not finite");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { bootstrap_interval(values, {.resamples = 0}); }),
            "[bootstrap_interval] resamples: expected at least 1, got 0");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] { bootstrap_interval(values, {.confidence = 1.0}); }),
            "[bootstrap_interval] confidence: expected between 0 and 1, got 1");
  EXPECT_EQ(
      vlalign::test::message_of<vlalign::Error>([&] { bootstrap_interval(values, std::vector<std::int64_t>{0}); }),
      "[bootstrap_interval] groups: expected 2, one a value, got 1");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              bootstrap_interval(values, std::vector<std::int64_t>{0, -1});
            }),
            "[bootstrap_interval] groups: expected 0 or more, got -1");
}

/// Two systems that agree on most queries: `both` right, `ours` and `theirs` right alone, `neither`.
struct TwoSystems {
  std::vector<double> ours, theirs;
};

TwoSystems two_systems(int both, int only_ours, int only_theirs, int neither) {
  TwoSystems systems;
  const auto add = [&](int count, double our, double their) {
    systems.ours.insert(systems.ours.end(), static_cast<std::size_t>(count), our);
    systems.theirs.insert(systems.theirs.end(), static_cast<std::size_t>(count), their);
  };
  add(both, 1, 1);
  add(only_ours, 1, 0);
  add(only_theirs, 0, 1);
  add(neither, 0, 0);
  return systems;
}

/// Draws pictures one by one, both systems' values of their captions with each.
vlalign::PairedDifference pairs_by_drawing(const std::vector<std::vector<double>>& differences, int resamples) {
  Rng rng({17});
  std::vector<double> means;
  double below = 0, above = 0;
  for (int r = 0; r < resamples; ++r) {
    double sum = 0.0, count = 0.0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      const auto& drawn = differences[static_cast<std::size_t>(rng.below(std::ssize(differences)))];
      sum += std::accumulate(drawn.begin(), drawn.end(), 0.0);
      count += static_cast<double>(drawn.size());
    }
    means.push_back(sum / count);
    below += means.back() <= 0;
    above += means.back() >= 0;
  }
  std::sort(means.begin(), means.end());
  const auto n = static_cast<double>(resamples);
  return {0.0,
          {means[static_cast<std::size_t>(0.025 * n)], means[static_cast<std::size_t>(0.975 * n)]},
          std::min(1.0, 2 * (1 + std::min(below, above)) / (n + 1))};
}

TEST(PairedBootstrap, IsThatOfTheNormalApproximation) {
  // d has the mean 0.02 and the variance 0.12 - 0.02^2 over 4,000 queries: 3.66 standard errors, then 1.83
  for (const auto& [ours, theirs, mean] : {std::tuple(280, 200, 0.02), std::tuple(260, 220, 0.01)}) {
    const auto systems = two_systems(2'000, ours, theirs, 4'000 - 2'000 - ours - theirs);
    const auto found = paired_bootstrap(systems.ours, systems.theirs, {.resamples = 200'000});
    const double error = std::sqrt((0.12 - mean * mean) / 4'000);
    EXPECT_NEAR(found.difference, mean, 1e-12);
    EXPECT_NEAR(found.interval.low, mean - 1.959964 * error, 0.02 * error);
    EXPECT_NEAR(found.interval.high, mean + 1.959964 * error, 0.02 * error);
    // beside the share of resamples that lie at 0 exactly, which counts on both sides
    const double p = std::erfc((mean - 0.5 / 4'000) / error / std::sqrt(2.0));
    EXPECT_NEAR(found.p_value, p, 0.05 * p + 2e-5);
  }
}

TEST(PairedBootstrap, EqualsDrawingPicturesOneByOneWithTheirCaptions) {
  Rng rng({6});
  std::vector<std::vector<double>> differences;
  std::vector<double> ours, theirs;
  std::vector<std::int64_t> picture_of;
  for (std::int64_t picture = 0; picture < 60; ++picture) {
    const double ease = rng.uniform();
    differences.emplace_back();
    for (std::int64_t i = 0; i <= rng.below(5); ++i) {
      ours.push_back(rng.chance(0.2 + 0.7 * ease) ? 1.0 : 0.0);
      theirs.push_back(rng.chance(0.05 + 0.7 * ease) ? 1.0 : 0.0);
      differences.back().push_back(ours.back() - theirs.back());
      picture_of.push_back(picture);
    }
  }
  const auto expected = pairs_by_drawing(differences, 40'000);
  const auto found = paired_bootstrap(ours, theirs, picture_of, {.resamples = 40'000});
  const double width = expected.interval.high - expected.interval.low;
  EXPECT_NEAR(found.interval.low, expected.interval.low, 0.03 * width);
  EXPECT_NEAR(found.interval.high, expected.interval.high, 0.03 * width);
  EXPECT_NEAR(found.p_value, expected.p_value, 6 * std::sqrt(expected.p_value / 40'000));
}

TEST(PairedBootstrap, IsNarrowerThanTwoIndependentIntervals) {
  const auto systems = two_systems(500, 40, 10, 450);
  const auto paired = paired_bootstrap(systems.ours, systems.theirs);
  const auto ours = bootstrap_interval(systems.ours), theirs = bootstrap_interval(systems.theirs);
  EXPECT_GT(theirs.high, ours.low);     // the intervals overlap,
  EXPECT_GT(paired.interval.low, 0.0);  // and the difference is more than chance
  EXPECT_LT(paired.p_value, 0.01);
}

TEST(PairedBootstrap, OfEqualSystemsIsNoDifference) {
  const auto systems = two_systems(30, 0, 0, 20);
  const auto found = paired_bootstrap(systems.ours, systems.theirs);
  EXPECT_EQ(found.difference, 0.0);
  EXPECT_EQ(found.interval.low, 0.0);
  EXPECT_EQ(found.interval.high, 0.0);
  EXPECT_EQ(found.p_value, 1.0);
}

TEST(PairedBootstrap, IsTheSameTheOtherWayRound) {
  const auto systems = two_systems(50, 12, 5, 33);
  const auto found = paired_bootstrap(systems.ours, systems.theirs, {.resamples = 20'000});
  const auto turned = paired_bootstrap(systems.theirs, systems.ours, {.resamples = 20'000});
  EXPECT_EQ(found.difference, -turned.difference);
  EXPECT_NEAR(found.interval.low, -turned.interval.high, 0.011);  // a query's step, where draws differ
  EXPECT_NEAR(found.p_value, turned.p_value, 0.02);
}

TEST(PairedBootstrap, FindsADifferenceWhereThereIsNoneOneTimeInTwenty) {
  Rng rng({7});
  int found = 0;
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<double> ours, theirs;
    for (int i = 0; i < 300; ++i) {
      const double ease = rng.uniform();
      ours.push_back(rng.chance(ease) ? 1.0 : 0.0);
      theirs.push_back(rng.chance(ease) ? 1.0 : 0.0);
    }
    found += paired_bootstrap(ours, theirs, {.seed = static_cast<std::uint64_t>(trial)}).p_value < 0.05;
  }
  EXPECT_GT(found, 5);  // at most 20 expected, ties counting against a difference; standard error 4.4
  EXPECT_LT(found, 36);
}

TEST(PairedBootstrap, SaysWhichArgumentIsWrong) {
  const std::vector<double> two{1.0, 0.0}, three{1.0, 0.0, 1.0};
  const auto message = [](const auto& call) { return vlalign::test::message_of<vlalign::Error>(call); };
  EXPECT_EQ(message([&] { paired_bootstrap(two, three); }),
            "[paired_bootstrap] others: expected 2, one a value, got 3");
  EXPECT_EQ(message([&] { paired_bootstrap(std::vector<double>{}, std::vector<double>{}); }),
            "[paired_bootstrap] values: expected at least one");
  EXPECT_EQ(message([&] {
              paired_bootstrap(two, std::vector<double>{0.0, std::nan("")});
            }),
            "[paired_bootstrap] others: entry 1 is not finite");
  EXPECT_EQ(message([&] { paired_bootstrap(two, two, std::vector<std::int64_t>{0}); }),
            "[paired_bootstrap] groups: expected 2, one a value, got 1");
  EXPECT_EQ(message([&] { paired_bootstrap(two, two, {.resamples = 0}); }),
            "[paired_bootstrap] resamples: expected at least 1, got 0");
}

}  // namespace
