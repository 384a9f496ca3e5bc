#pragma once

#include <span>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// What a classifier said of one picture.
struct Prediction {
  double confidence = 0.0;  ///< probability of the predicted class, 0 to 1
  bool correct = false;
};

/// How far confidence and accuracy lie apart: expected calibration error over 15 bins of equal width,
/// sum_b |B_b| / n |accuracy(B_b) - mean confidence(B_b)| with bin b = ((b - 1) / 15, b / 15]; 0 is perfect (Guo et al.
/// 2017, section 2). Throws Error when there is no prediction or a confidence is not 0 to 1.
VLALIGN_EXPORT double calibration_error(std::span<const Prediction> predictions);

}  // namespace vlalign
