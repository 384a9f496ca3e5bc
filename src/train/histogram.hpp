// How the numbers of some tensors are spread. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace vlalign {

/// As TensorBoard takes it.
struct Histogram {
  double values = 0;  ///< how many: 0 leaves the rest as it is
  double min = 0, max = 0;
  double sum = 0, sum_of_squares = 0;
  std::vector<double> limits;  ///< upper ends of the buckets, increasing; the first begins at min, the last ends at max
  std::vector<double> counts;  ///< of values in each bucket
};

/// All numbers of all tensors, which are float32 and dense, in 64 buckets of equal width, or in one where all are the
/// same. What isn't finite is left out.
Histogram histogram_of(const std::vector<at::Tensor>& tensors);

}  // namespace vlalign
