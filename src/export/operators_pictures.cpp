// Convolutions, pools and resizing.
#include <ATen/TensorOperators.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <ATen/ops/eye.h>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

using Integers = std::vector<std::int64_t>;

Integers pair_of(Conversion& c, std::size_t i) {
  auto numbers = c.integers(i);
  if (numbers.size() == 1) numbers.push_back(numbers.front());
  return numbers;
}

/// ONNX has what stands before all dimensions first.
Integers both_sides(const Integers& padding) { return {padding[0], padding[1], padding[0], padding[1]}; }

/// Where a pool has no stride its windows lie side by side.
Integers stride_of(Conversion& c, std::size_t i, const Integers& kernel) {
  return c.sizes(i).empty() ? kernel : pair_of(c, i);
}

/// [new_size, size]: what antialiased resizing does to a line of numbers. Each column is what becomes of a single 1.
at::Tensor resizing_matrix(std::int64_t size, std::int64_t new_size, bool cubic, bool corners) {
  const std::vector<std::int64_t> shape{new_size, size};
  const auto ones = at::eye(size).view({1, 1, size, size});
  return (cubic ? at::_upsample_bicubic2d_aa(ones, shape, corners) : at::_upsample_bilinear2d_aa(ones, shape, corners))
      .view(shape);
}

}  // namespace

/// convolution and _convolution; conv2d has its groups where they have `transposed`.
void convolution(Conversion& c) {
  enum { input, weight, bias, stride, padding, dilation, transposed, output_padding, groups };
  const bool plain = c.count() <= transposed + 1;
  if (c.rank_of(input) != 4 || (!plain && c.flag(transposed)))
    c.refuse("can be written in two dimensions and not transposed alone");
  Names inputs{c.tensor(input), c.tensor(weight)};
  if (!c.is_none(bias)) inputs.push_back(c.tensor(bias));
  const auto& kernel = c.shape_of(weight);
  c.give(c.add("Conv", inputs,
               {{"kernel_shape", Integers{kernel[2].constant, kernel[3].constant}},
                {"strides", pair_of(c, stride)},
                {"pads", both_sides(pair_of(c, padding))},
                {"dilations", pair_of(c, dilation)},
                {"group", c.integer(plain ? transposed : groups, 1)}}));
}

void average_pool(Conversion& c) {
  enum { input, kernel, stride, padding, ceil_mode, count_padding, divisor };
  if (!c.is_none(divisor)) c.refuse("cannot be written with a divisor of its own");
  const auto window = pair_of(c, kernel);
  c.give(c.add("AveragePool", {c.tensor(input)},
               {{"kernel_shape", window},
                {"strides", stride_of(c, stride, window)},
                {"pads", both_sides(pair_of(c, padding))},
                {"ceil_mode", std::int64_t{c.flag(ceil_mode)}},
                {"count_include_pad", std::int64_t{c.flag(count_padding, true)}}}));
}

void adaptive_average_pool(Conversion& c) {
  for (const auto size : c.integers(1))
    if (size != 1) c.refuse("can be written for one place alone");
  c.give(c.add("GlobalAveragePool", {c.tensor(0)}));
}

void max_pool(Conversion& c) {
  enum { input, kernel, stride, padding, dilation, ceil_mode };
  const auto window = pair_of(c, kernel);
  c.give(c.add("MaxPool", {c.tensor(input)},
               {{"kernel_shape", window},
                {"strides", stride_of(c, stride, window)},
                {"pads", both_sides(pair_of(c, padding))},
                {"dilations", pair_of(c, dilation)},
                {"ceil_mode", std::int64_t{c.flag(ceil_mode)}}}));
}

/// Opset 17 has no antialias: a product with a matrix along either side.
void resize_antialiased(Conversion& c) {
  const auto &from = c.shape_of(0), &to = c.result().shape;
  const auto matrix = [&](std::size_t i) {
    if (!from[i].is_constant() || !to[i].is_constant()) c.refuse("can be written for maps of one size alone");
    return resizing_matrix(from[i].constant, to[i].constant, c.operation == "cubic", c.flag(2));
  };
  const auto along_columns = c.add("MatMul", {c.graph().constant(matrix(2)), c.tensor(0)});
  c.give(c.add("MatMul", {along_columns, c.graph().constant(matrix(3).t())}));
}

/// upsample_bicubic2d and the like: the result knows its size.
void resize(Conversion& c) {
  const bool nearest = c.operation == "nearest";
  const bool corners = !nearest && c.flag(2);
  Attributes attributes{{"mode", c.operation},
                        {"coordinate_transformation_mode", std::string(nearest   ? "asymmetric"
                                                                       : corners ? "align_corners"
                                                                                 : "half_pixel")}};
  if (nearest) attributes["nearest_mode"] = std::string("floor");
  if (c.operation == "cubic") attributes["cubic_coeff_a"] = -0.75;  // torch's
  c.give(c.add("Resize", {c.tensor(0), "", "", c.graph().shape(c.result().shape)}, attributes));
}

}  // namespace vlalign::onnx::rows
