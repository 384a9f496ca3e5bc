#include "eval/coded_rows.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/check.hpp"
#include "kernels/code_products.hpp"

namespace vlalign {
namespace {

constexpr float largest_code = 127;

/// Each column's root mean square over at most some thousands of rows; 1 where it is 0.
at::Tensor column_scales(const at::Tensor& rows) {
  constexpr std::int64_t enough = 8192;
  const auto count = rows.size(0), width = rows.size(1), step = std::max<std::int64_t>(1, count / enough);
  std::vector<double> squares(static_cast<std::size_t>(width), 0.0);
  std::int64_t taken = 0;
  for (std::int64_t i = 0; i < count; i += step, ++taken) {
    const auto* row = rows.const_data_ptr<float>() + i * width;
    for (std::int64_t j = 0; j < width; ++j) squares[static_cast<std::size_t>(j)] += double{row[j]} * double{row[j]};
  }
  auto scales = at::empty({width}, at::kFloat);
  std::transform(squares.begin(), squares.end(), scales.mutable_data_ptr<float>(), [taken](double sum) {
    const auto scale = static_cast<float>(std::sqrt(sum / static_cast<double>(taken)));
    return std::isnormal(scale) ? scale : 1.0F;
  });
  return scales;
}

/// Of one row of `width` numbers.
void code_row(const float* row, const float* column_scale, std::int64_t width, std::int8_t* codes, float& scale,
              float& error) {
  float largest = 0;
  for (std::int64_t j = 0; j < width; ++j) largest = std::max(largest, std::abs(row[j] / column_scale[j]));
  scale = largest / largest_code;
  if (!std::isnormal(scale)) scale = 0;  // nothing that a code could say
  double left = 0;
  for (std::int64_t j = 0; j < width; ++j) {
    const auto code = scale > 0 ? std::clamp(std::nearbyint(row[j] / column_scale[j] / scale), -127.0F, 127.0F) : 0.0F;
    codes[j] = static_cast<std::int8_t>(code);
    const auto off = double{row[j]} - double{scale} * double{column_scale[j]} * double{code};
    left += off * off;
  }
  error = std::nextafter(static_cast<float>(std::sqrt(left) * (1 + 1e-9)), std::numeric_limits<float>::infinity());
}

void check_part(const at::Tensor& part, const char* name, at::ScalarType dtype, at::IntArrayRef shape) {
  check(part.defined() && part.scalar_type() == dtype && part.sizes() == shape && part.is_contiguous(),
        "{}: expected {} [{}]", name, c10::toString(dtype), fmt::join(shape, ", "));
}

}  // namespace

CodedRows coded_rows(const at::Tensor& rows) {
  const auto count = rows.size(0), width = rows.size(1);
  CodedRows coded{at::empty({count, width}, at::kChar), at::empty({count}, at::kFloat), column_scales(rows),
                  at::empty({count}, at::kFloat), rows.const_data_ptr()};
  const auto* row = rows.const_data_ptr<float>();
  const auto* column_scale = coded.column_scale.const_data_ptr<float>();
  auto* codes = coded.codes.mutable_data_ptr<std::int8_t>();
  auto* scale = coded.row_scale.mutable_data_ptr<float>();
  auto* error = coded.error.mutable_data_ptr<float>();
  at::parallel_for(0, count, /*grain_size=*/256, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i)
      code_row(row + i * width, column_scale, width, codes + i * width, scale[i], error[i]);
  });
  return coded;
}

void check_coded(const CodedRows& coded, const at::Tensor& rows) {
  const auto count = rows.size(0), width = rows.size(1);
  check_part(coded.codes, "codes", at::kChar, {count, width});
  check_part(coded.row_scale, "row_scale", at::kFloat, {count});
  check_part(coded.column_scale, "column_scale", at::kFloat, {width});
  check_part(coded.error, "error", at::kFloat, {count});
  for (const auto& numbers : {coded.row_scale, coded.column_scale, coded.error})
    check(at::isfinite(numbers).all().item<bool>() && numbers.min().item<float>() >= 0,
          "scales and errors: expected finite numbers from 0");
}

}  // namespace vlalign
