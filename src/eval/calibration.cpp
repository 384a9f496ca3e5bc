#include "vlalign/eval/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.hpp"

namespace vlalign {

double calibration_error(std::span<const Prediction> predictions) {
  constexpr int bins = 15;
  check(!predictions.empty(), "[calibration_error] predictions: expected at least one");
  std::array<double, bins> surplus{};  // of confidence over hits
  for (const auto& [confidence, correct] : predictions) {
    check(confidence >= 0.0 && confidence <= 1.0,
          "[calibration_error] predictions: expected a confidence 0 to 1, got {}", confidence);
    const auto bin = std::max(0, static_cast<int>(std::ceil(confidence * bins)) - 1);
    surplus[static_cast<std::size_t>(bin)] += confidence - (correct ? 1.0 : 0.0);
  }
  double sum = 0.0;
  for (const auto value : surplus) sum += std::abs(value);
  return sum / static_cast<double>(predictions.size());
}

}  // namespace vlalign
