#include "vlalign/eval/curves.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "vlalign/core/random.hpp"

namespace vlalign::curves_test {
namespace {

TEST(Curve, IsWhatWasAddedWhileThatIsLittle) {
  Curve curve;
  EXPECT_TRUE(curve.empty());
  curve.add(10, 2.5);
  curve.add(20, -1.0);
  ASSERT_EQ(curve.points().size(), 2U);
  EXPECT_EQ(curve.points()[1].step, 20);
  EXPECT_EQ(curve.points()[1].mean(), -1.0);
  EXPECT_EQ(curve.last(), -1.0);
}

TEST(Curve, StandsForEqualStretchesOfAnyNumberOfEntries) {
  for (const std::size_t count : {401, 800, 801, 1'000, 12'345, 100'000}) {
    Rng rng({count});
    Curve curve;
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i) {
      values.push_back(rng.uniform(-1.0, 1.0));
      curve.add(static_cast<double>(i + 1), values.back());
    }
    const auto& points = curve.points();
    EXPECT_LE(points.size(), Curve::most_points);
    EXPECT_GE(points.size(), Curve::most_points / 2);
    EXPECT_EQ(points.back().step, static_cast<double>(count));
    const auto stretch = static_cast<std::size_t>(points.front().step);
    for (std::size_t p = 0; p < points.size(); ++p) {
      const auto begin = values.begin() + static_cast<std::ptrdiff_t>(p * stretch);
      const auto end = values.begin() + static_cast<std::ptrdiff_t>(std::min((p + 1) * stretch, count));
      double sum = 0;
      for (auto value = begin; value != end; ++value) sum += *value;
      EXPECT_NEAR(points[p].mean(), sum / static_cast<double>(end - begin), 1e-12);
      EXPECT_EQ(points[p].low, *std::min_element(begin, end));
      EXPECT_EQ(points[p].high, *std::max_element(begin, end));
    }
  }
}

TEST(Curve, LeavesOutWhatIsNotFinite) {
  Curve curve;
  for (int i = 1; i <= 802; ++i) {
    const bool bad = i % 4 == 1 || i > 790;
    curve.add(i, bad ? (i % 8 == 1 ? std::nan("") : std::numeric_limits<double>::infinity()) : i);
  }
  const auto& points = curve.points();  // of four entries each
  EXPECT_EQ(points[0].mean(), 3.0);
  EXPECT_EQ(points[0].low, 2.0);
  EXPECT_EQ(points[0].high, 4.0);
  EXPECT_EQ(points[0].finite, 3);
  EXPECT_TRUE(std::isnan(points.back().mean()));
}

TEST(TrainingCurves, CountTheSecondsOfTrainingAcrossAResumeAndAStepWithoutARate) {
  TrainingCurves curves;
  curves.add({.step = 1, .loss = 5, .samples_seen = 100, .pairs_per_s = 50});
  curves.add({.step = 2, .loss = 4, .samples_seen = 200, .pairs_per_s = std::nan("")});
  curves.add({.step = 3, .loss = 3, .samples_seen = 300, .pairs_per_s = 25});
  const auto& points = curves.seconds.points();
  ASSERT_EQ(points.size(), 3U);
  EXPECT_EQ(points[0].high, 2);
  EXPECT_EQ(points[1].high, 2);
  EXPECT_EQ(points[2].high, 6);
  EXPECT_EQ(curves.samples_seen.last(), 300);
}

TEST(TrainingCurves, OfColumnsAreThoseOfLines) {
  TrainingMetrics columns;
  TrainingCurves of_lines;
  for (int i = 1; i <= 1'000; ++i) {
    const StepMetrics line{.step = 1.0 * i,
                           .epoch = 0,
                           .loss = std::sin(i),
                           .accuracy = 0.5,
                           .learning_rate = 1e-3 * i,
                           .logit_scale = 14,
                           .samples_seen = 8.0 * i,
                           .pairs_per_s = 100.0 + i % 7};
    of_lines.add(line);
    columns.step.push_back(line.step);
    columns.loss.push_back(line.loss);
    columns.samples_seen.push_back(line.samples_seen);
    columns.pairs_per_s.push_back(line.pairs_per_s);
  }
  const TrainingCurves of_columns(columns);
  EXPECT_TRUE(of_columns.accuracy.empty());
  for (const auto curve : {&TrainingCurves::loss, &TrainingCurves::seconds, &TrainingCurves::pairs_per_s}) {
    const auto &one = (of_lines.*curve).points(), &other = (of_columns.*curve).points();
    ASSERT_EQ(one.size(), other.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].step, other[i].step);
      EXPECT_EQ(one[i].mean(), other[i].mean());
    }
  }
}

TEST(ValidationCurves, AreOneForEachFigureOfEachSet) {
  const ValidationCurves curves(
      std::vector<ValidationResult>{{.step = 1, .name = "a", .seconds = 1, .figures = {{"loss", 3}, {"top1", 0.5}}},
                                    {.step = 1, .name = "b", .seconds = 1, .figures = {{"loss", 4}}},
                                    {.step = 2, .name = "a", .seconds = 1, .figures = {{"loss", 2}, {"top1", 0.75}}}});
  ASSERT_EQ(curves.entries().size(), 3U);
  EXPECT_EQ(curves.entries()[1].key, "top1");
  EXPECT_EQ(curves.entries()[1].curve.points().size(), 2U);
  EXPECT_EQ(curves.entries()[1].curve.last(), 0.75);
  EXPECT_EQ(curves.entries()[2].name, "b");
  EXPECT_EQ(curves.entries()[2].curve.points().size(), 1U);
}

}  // namespace
}  // namespace vlalign::curves_test
