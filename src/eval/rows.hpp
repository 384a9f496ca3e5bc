// Blocks of rows, shared by the measures. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace vlalign {

/// Cosines closer than this are ties: float32 products of unit rows cannot tell them apart.
constexpr double tie_margin = 1e-6;

/// `x` in float32 (float64 stays), checked to be floating [N, D] with N, D >= 1 and finite.
/// Throws Error "[function] argument: ...".
at::Tensor checked_rows(const at::Tensor& x, std::string_view function, std::string_view argument);

/// Calls visit(start, end) for consecutive blocks of at most `size` rows of 0..rows-1.
template <typename Visit>
void for_each_block(std::int64_t rows, std::int64_t size, Visit visit) {
  for (std::int64_t start = 0; start < rows; start += size) visit(start, start + size < rows ? start + size : rows);
}

/// Rows a block so that rows x width floats take about 64 MB.
std::int64_t block_rows_for(std::int64_t width);

}  // namespace vlalign
