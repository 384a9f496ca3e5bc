// Blocks of rows, shared by the measures. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace vlalign {

/// Cosines closer than this are ties: float32 products of unit rows cannot tell them apart.
constexpr double tie_margin = 1e-6;

/// Throws Error "[function] argument: ..." unless `x` is floating [N, D] with N, D >= 1.
void check_rows_shape(const at::Tensor& x, std::string_view function, std::string_view argument);

/// Throws Error "[function] argument: ..." unless `x` is floating [N, D] with N, D >= 1 and finite. Returns `x` itself,
/// in its own dtype: a million rows are not copied.
const at::Tensor& checked_rows(const at::Tensor& x, std::string_view function, std::string_view argument);

/// Throws Error unless x lies on the device of `like`, which another argument is.
void check_device(const at::Tensor& x, const at::Tensor& like, std::string_view function, std::string_view argument,
                  std::string_view like_argument);

/// Rows in the dtype that the measures reckon in: float32, or float64 for float64.
at::Tensor float_rows(const at::Tensor& rows);

/// Calls visit(start, end) for consecutive blocks of at most `size` rows of 0..rows-1.
template <typename Visit>
void for_each_block(std::int64_t rows, std::int64_t size, Visit visit) {
  for (std::int64_t start = 0; start < rows; start += size) visit(start, start + size < rows ? start + size : rows);
}

/// Rows a block so that rows x width floats take about 16 MB: enough work for a kernel, and malloc keeps such a block
/// for the next one rather than give it back.
std::int64_t block_rows_for(std::int64_t width);

}  // namespace vlalign
