// How a product's input is best cut into bytes. Internal.
#pragma once

#include "kernels/int8_product.hpp"
#include "model/input_statistics.hpp"

namespace vlalign {

struct BestColumns {
  Int8Columns columns;
  double error;  ///< |y - y'|^2 / |y|^2 over the rows
};

/// Of what was tried, the columns with the least error.
///   weight: float32 [N, K]
BestColumns best_columns(const at::Tensor& weight, const InputStatistics& input);

}  // namespace vlalign
