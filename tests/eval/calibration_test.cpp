#include "vlalign/eval/calibration.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

using vlalign::calibration_error;
using vlalign::Prediction;

TEST(CalibrationError, OfATableIsWorkedByHand) {
  const std::vector<Prediction> predictions{
      {0.95, true},  {0.97, true},  {0.99, false},  // (14/15, 1]: accuracy 2/3, confidence 0.97, off by 91/300
      {0.50, true},  {0.52, false},                 // (7/15, 8/15]: accuracy 1/2, confidence 0.51, off by 0.01
      {0.20, false},                                // (2/15, 3/15]: its upper edge; accuracy 0, off by 0.2
      {0.21, true},                                 // (3/15, 4/15]: accuracy 1, off by 0.79
      {0.00, false}};                               // the lowest bin: off by nothing
  EXPECT_NEAR(calibration_error(predictions), (3 * 91.0 / 300 + 2 * 0.01 + 0.2 + 0.79) / 8, 1e-12);
}

TEST(CalibrationError, IsZeroWhenHitsAreAsFrequentAsClaimed) {
  EXPECT_NEAR(calibration_error(std::vector<Prediction>{{0.75, true}, {0.75, true}, {0.75, true}, {0.75, false}}), 0.0,
              1e-12);
  EXPECT_EQ(calibration_error(std::vector<Prediction>{{1.0, true}, {1.0, true}}), 0.0);
}

TEST(CalibrationError, IsTheSurplusOfConfidenceOfABoaster) {
  EXPECT_EQ(calibration_error(std::vector<Prediction>{{1.0, false}, {1.0, true}}), 0.5);
  EXPECT_EQ(calibration_error(std::vector<Prediction>{{1.0, false}}), 1.0);
}

TEST(CalibrationError, IsSmallForManyPredictionsThatKeepTheirWord) {
  vlalign::Rng rng({1});
  std::vector<Prediction> predictions;
  for (int i = 0; i < 200'000; ++i) {
    const double confidence = rng.uniform();
    predictions.push_back({confidence, rng.chance(confidence)});
  }
  EXPECT_LT(calibration_error(predictions), 0.008);  // a bin's accuracy has a standard error of up to 0.0043
}

std::string complaint(const std::vector<Prediction>& predictions) {
  try {
    calibration_error(predictions);
  } catch (const vlalign::Error& error) {
    return error.what();
  }
  return "";
}

TEST(CalibrationError, SaysWhatIsWrong) {
  EXPECT_EQ(complaint({}), "[calibration_error] predictions: expected at least one");
  EXPECT_EQ(complaint({{1.5, true}}), "[calibration_error] predictions: expected a confidence 0 to 1, got 1.5");
}

}  // namespace
