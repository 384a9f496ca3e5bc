#include "kernels/int8_product.hpp"

#include <ATen/DimVector.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <vector>

#include "core/check.hpp"
#include "kernels/int8_rows.hpp"
#include "kernels/int8_tile.hpp"

namespace vlalign {
namespace {

/// Rows of x as codes.
struct Codes {
  at::Tensor rows;                ///< int8 [M, K]
  std::vector<std::uint8_t> bad;  ///< [M], of rows that aren't finite; bytes, since threads write them side by side
};

template <class T>
Codes codes_of(const at::Tensor& rows, const Int8Columns& columns) {
  const auto k = rows.size(1);
  Codes codes{.rows = at::empty(rows.sizes(), rows.options().dtype(at::kChar)),
              .bad = std::vector<std::uint8_t>(static_cast<std::size_t>(rows.size(0)))};
  const auto* x = rows.const_data_ptr<T>();
  const auto *scale = columns.scale.const_data_ptr<float>(), *centre = columns.centre.const_data_ptr<float>();
  auto* out = codes.rows.mutable_data_ptr<std::int8_t>();
  const int shift = int8_kernel().shift;
  at::parallel_for(0, rows.size(0), /*grain_size=*/8, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i)
      codes.bad[static_cast<std::size_t>(i)] = !row_to_bytes(x + i * k, scale, centre, k, shift, out + i * k);
  });
  return codes;
}

/// Where the operands of one product lie. Rows of codes are K bytes apart, those of the result N numbers.
template <class T>
struct Operands {
  const std::int8_t *codes, *panels;
  const std::int32_t* first;
  const float *step, *bias;
  T* out;
  std::int64_t rows, k, n;
};

/// All rows of codes with panel p, in blocks as even as can be.
template <class T>
void multiply_panel(const Operands<T>& of, std::int64_t p) {
  constexpr std::int64_t most_rows = 16;
  const auto& kernel = int8_kernel();
  const auto column = p * int8_panel_columns, panel_size = int8_panel_columns * of.k;
  std::array<std::int32_t, most_rows * int8_panel_columns> sums;
  Int8Tile tile{.x = of.codes,
                .k = of.k,
                .panel = of.panels + p * panel_size,
                .first = of.first + column,
                .sums = sums.data(),
                .next = nullptr};
  const auto blocks = (of.rows + kernel.most_rows - 1) / kernel.most_rows;
  for (std::int64_t i = 0; i < blocks; ++i) {
    const auto begin = of.rows * i / blocks, end = of.rows * (i + 1) / blocks;
    tile.x = of.codes + begin * of.k;
    const bool last = i + 1 == blocks && column + int8_panel_columns < of.n;
    tile.next = tile.panel + (last ? panel_size : 0);  // this one is in the cache: costs nothing
    kernel.sum(tile, end - begin);
    sums_to_rows(sums.data(), end - begin, of.step + column, of.bias + column, of.n, of.out + begin * of.n + column);
  }
}

template <class T>
at::Tensor product_of(const at::Tensor& rows, const Int8Weight& w, const at::Tensor& bias, const Int8Columns& columns) {
  const auto codes = codes_of<T>(rows, columns);
  const auto out = at::empty({rows.size(0), w.step.size(0)}, rows.options());
  const Operands<T> operands{.codes = codes.rows.template const_data_ptr<std::int8_t>(),
                             .panels = w.panels.const_data_ptr<std::int8_t>(),
                             .first = w.first.const_data_ptr<std::int32_t>(),
                             .step = w.step.const_data_ptr<float>(),
                             .bias = bias.const_data_ptr<float>(),
                             .out = out.template mutable_data_ptr<T>(),
                             .rows = rows.size(0),
                             .k = rows.size(1),
                             .n = out.size(1)};
  at::parallel_for(0, w.panels.size(0), /*grain_size=*/2, [&](std::int64_t begin, std::int64_t end) {
    for (auto p = begin; p < end; ++p) multiply_panel(operands, p);
  });
  for (std::int64_t i = 0; i < rows.size(0); ++i)
    if (codes.bad[static_cast<std::size_t>(i)]) out.select(0, i).fill_(std::numeric_limits<double>::quiet_NaN());
  return out;
}

/// bias + offset, without an operator's cost where both are float32.
at::Tensor with_offset(const at::Tensor& bias, const at::Tensor& offset) {
  if (!bias.defined()) return offset;
  const auto floats = bias.to(at::kFloat).contiguous();
  const auto sum = at::empty(offset.sizes(), offset.options());
  std::transform(floats.const_data_ptr<float>(), floats.const_data_ptr<float>() + floats.numel(),
                 offset.const_data_ptr<float>(), sum.mutable_data_ptr<float>(), std::plus<>());
  return sum;
}

}  // namespace

bool fits_int8(const at::Tensor& w) {
  return w.is_cpu() && w.dim() == 2 && w.numel() > 0 && w.size(0) % int8_panel_columns == 0 &&
         w.size(1) % int8_group == 0;
}

bool has_int8_products() { return int8_kernel().in_hardware; }

Int8Rows int8_rows(const at::Tensor& w, const Int8Columns& columns) {
  const auto weight = w / columns.scale;
  const auto largest = weight.abs().amax(1, /*keepdim=*/true);
  return {weight, (largest / largest_int8_code).clamp_min(1e-30)};
}

Int8Weight to_int8(const at::Tensor& w, const Int8Columns& columns) {
  const at::NoGradGuard no_graph;
  const auto [weight, step] = int8_rows(w, columns);
  const auto bytes = (weight / step).round().clamp(-largest_int8_code, largest_int8_code).to(at::kChar);
  const auto n = w.size(0), k = w.size(1);
  const auto panels = bytes.view({n / int8_panel_columns, int8_panel_columns, k / int8_group, int8_group});
  return {.panels = panels.transpose(1, 2).contiguous(),
          .first = bytes.sum(1, false, at::kInt) * -int8_kernel().shift,
          .step = step.flatten(),
          .offset = weight.mv(columns.centre)};
}

at::Tensor int8_product(const at::Tensor& x, const Int8Weight& w, const at::Tensor& bias, const Int8Columns& columns) {
  const at::NoGradGuard no_graph;
  check(x.size(-1) == columns.scale.size(0), "[int8] x: expected [..., {}], got [{}]", columns.scale.size(0),
        fmt::join(x.sizes(), ", "));
  const auto added = with_offset(bias, w.offset);
  const auto rows = x.reshape({-1, x.size(-1)}).contiguous();
  const auto out = rows.scalar_type() == at::kFloat ? product_of<float>(rows, w, added, columns)
                                                    : product_of<at::BFloat16>(rows, w, added, columns);
  at::DimVector shape(x.sizes());
  shape.back() = out.size(1);
  return out.view(shape);
}

at::Tensor int8_product_in_floats(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                                  const Int8Columns& columns) {
  constexpr auto most = static_cast<std::int64_t>(largest_int8_code);
  const auto [weight, step] = int8_rows(w.detach(), columns);
  const auto codes = at::fake_quantize_per_tensor_affine(x * columns.scale - columns.centre, 1.0, 0, -most, most);
  const auto zeros = at::zeros({w.size(0)}, at::kInt);
  const auto bytes =
      at::fake_quantize_per_channel_affine(weight.t().contiguous(), step.flatten(), zeros, /*axis=*/1, -most, most);
  const auto offset = weight.mv(columns.centre);
  return at::matmul(codes, bytes) + (bias.defined() ? bias + offset : offset);
}

}  // namespace vlalign
