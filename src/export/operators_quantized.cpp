// Numbers rounded to int8, for engines that compute products of such numbers in bytes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {

/// A pair of QuantizeLinear and DequantizeLinear, which engines know. QuantizeLinear cuts at -128, where LibTorch's
/// argument may say -127: a code's difference in what is cut.
void quantize_numbers(Conversion& c) {
  enum { value, scale, zero_point };
  const auto step = c.graph().scalar(c.number(scale), at::kFloat);
  const auto zero = c.graph().constant(at::full({}, c.integer(zero_point), at::kChar));
  const auto codes = c.add("QuantizeLinear", {c.tensor(value), step, zero});
  c.give(c.add("DequantizeLinear", {codes, step, zero}));
}

/// Of a weight: its codes in the graph, a quarter of its size.
void quantize_weight(Conversion& c) {
  enum { weight, scale, zero_point, axis, least, most };
  const auto& value = c.operand(weight);
  if (!value.constant.defined()) c.refuse("is for weights alone");
  const auto along = c.axis(axis, c.rank_of(weight));
  std::vector<std::int64_t> shape(static_cast<std::size_t>(c.rank_of(weight)), 1);
  shape[static_cast<std::size_t>(along)] = -1;
  const auto& steps = c.operand(scale).constant;
  const auto codes =
      (value.constant / steps.view(shape)).round().clamp(c.integer(least), c.integer(most)).to(at::kChar);
  // Zero points of 0 are left out, as ONNX has it.
  if (c.operand(zero_point).constant.any().item<bool>()) c.refuse("is for zero points of 0 alone");
  c.give(c.add("DequantizeLinear", {c.graph().constant(codes, value.name), c.tensor(scale)}, {{"axis", along}}));
}

}  // namespace vlalign::onnx::rows
