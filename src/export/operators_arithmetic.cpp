// Arithmetic on each number, comparisons and activations.
#include <c10/core/ScalarType.h>

#include <cmath>
#include <numbers>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

/// The type in which two arguments of a comparison meet, as ATen has it: a number doesn't raise a tensor's type within
/// its kind.
at::ScalarType common_type(const Conversion& c) {
  const auto type_of = [&](std::size_t i) {
    if (c.is_tensor(i)) return c.type_of(i);
    if (c.is_size(i)) return at::kLong;
    const double value = c.number(i);
    return value == std::floor(value) ? at::kLong : at::kFloat;
  };
  const auto a = type_of(0), b = type_of(1);
  const bool number = !c.is_tensor(1) || (c.rank_of(1) == 0 && c.rank_of(0) > 0);
  const bool fits = c10::isFloatingType(a) || (c10::isIntegralType(a, false) && !c10::isFloatingType(b));
  return number && fits ? a : c10::promoteTypes(a, b);
}

/// `value` times what argument `i` says, 1 unless it is there.
Name scaled(Conversion& c, const Name& value, std::size_t i, at::ScalarType dtype) {
  const double factor = c.is_none(i) ? 1.0 : c.number(i);
  return factor == 1.0 ? value : c.add("Mul", {value, c.graph().scalar(factor, dtype)});
}

/// where() for any type: engines choose among booleans with And and Or.
Name chosen(Conversion& c, const Name& condition, const Name& yes, const Name& no, at::ScalarType dtype) {
  if (dtype != at::kBool) return c.add("Where", {condition, yes, no});
  return c.add("Or", {c.add("And", {condition, yes}), c.add("And", {c.add("Not", {condition}), no})});
}

}  // namespace

void same(Conversion& c) { c.give(c.tensor_as(0, c.result().dtype)); }

void dropout(Conversion& c) {
  if (c.flag(2)) c.refuse("draws at random, which no graph does: the module is in training mode");
  same(c);
}

void unary(Conversion& c) { c.give(c.add(c.operation, {c.tensor_as(0, c.result().dtype)})); }

void binary(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(c.add(c.operation, {c.tensor_as(0, dtype), c.tensor_as(1, dtype)}));
}

void compare(Conversion& c) {
  const auto dtype = common_type(c);
  c.give(c.add(c.operation, {c.tensor_as(0, dtype), c.tensor_as(1, dtype)}));
}

void add(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(c.add("Add", {c.tensor_as(0, dtype), scaled(c, c.tensor_as(1, dtype), 2, dtype)}));
}

void subtract(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(c.add("Sub", {c.tensor_as(0, dtype), scaled(c, c.tensor_as(1, dtype), 2, dtype)}));
}

void subtract_reversed(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(c.add("Sub", {c.tensor_as(1, dtype), scaled(c, c.tensor_as(0, dtype), 2, dtype)}));
}

void divide(Conversion& c) {
  if (!c.is_none(2)) c.refuse("cannot be written with rounding");
  const auto dtype = c.result().dtype;
  c.give(c.add("Div", {c.tensor_as(0, dtype), c.tensor_as(1, dtype)}));
}

/// argument 0 + value * argument 1 * argument 2
void add_elementwise_product(Conversion& c) {
  const auto dtype = c.result().dtype;
  const auto product = c.add("Mul", {c.tensor_as(1, dtype), c.tensor_as(2, dtype)});
  c.give(c.add("Add", {c.tensor_as(0, dtype), scaled(c, product, 3, dtype)}));
}

void square(Conversion& c) { c.give(c.add("Mul", {c.tensor(0), c.tensor(0)})); }

void reciprocal_root(Conversion& c) { c.give(c.add("Reciprocal", {c.add("Sqrt", {c.tensor(0)})})); }

void exponential_minus_one(Conversion& c) {
  c.give(c.add("Sub", {c.add("Exp", {c.tensor(0)}), c.graph().scalar(1, c.type_of(0))}));
}

void clamp(Conversion& c) {
  const auto dtype = c.result().dtype;
  auto value = c.tensor_as(0, dtype);
  if (!c.is_none(1)) value = c.add("Max", {value, c.tensor_as(1, dtype)});
  if (!c.is_none(2)) value = c.add("Min", {value, c.tensor_as(2, dtype)});
  c.give(value);
}

void not_a_number_to(Conversion& c) {
  if (!c.is_none(2) || !c.is_none(3)) c.refuse("cannot be written with other values for infinities");
  const auto replacement = c.graph().scalar(c.is_none(1) ? 0.0 : c.number(1), c.type_of(0));
  c.give(c.add("Where", {c.add("IsNaN", {c.tensor(0)}), replacement, c.tensor(0)}));
}

void not_equal(Conversion& c) {
  const auto dtype = common_type(c);
  c.give(c.add("Not", {c.add("Equal", {c.tensor_as(0, dtype), c.tensor_as(1, dtype)})}));
}

void logical(Conversion& c) {
  if (c.result().dtype != at::kBool) c.refuse("can be written for booleans alone");
  c.give(c.add(c.operation, {c.tensor_as(0, at::kBool), c.tensor_as(1, at::kBool)}));
}

void logical_not(Conversion& c) {
  if (c.result().dtype != at::kBool) c.refuse("can be written for booleans alone");
  c.give(c.add("Not", {c.tensor_as(0, at::kBool)}));
}

void where(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(chosen(c, c.tensor_as(0, at::kBool), c.tensor_as(1, dtype), c.tensor_as(2, dtype), dtype));
}

void masked_fill(Conversion& c) {
  const auto dtype = c.result().dtype;
  c.give(chosen(c, c.tensor_as(1, at::kBool), c.tensor_as(2, dtype), c.tensor_as(0, dtype), dtype));
}

void gelu(Conversion& c) {
  const auto x = c.tensor(0);
  const auto dtype = c.type_of(0);
  const auto number = [&](double value) { return c.graph().scalar(value, dtype); };
  const bool by_tanh = !c.is_none(1) && c.word(1) == "tanh";
  Name gate;
  if (by_tanh) {  // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    const auto cube = c.add("Mul", {c.add("Mul", {x, x}), x});
    const auto inner = c.add("Add", {x, c.add("Mul", {cube, number(0.044715)})});
    gate = c.add("Tanh", {c.add("Mul", {inner, number(std::sqrt(2 / std::numbers::pi))})});
  } else {  // x / 2 (1 + erf(x / sqrt(2)))
    gate = c.add("Erf", {c.add("Div", {x, number(std::numbers::sqrt2)})});
  }
  c.give(c.add("Mul", {c.add("Mul", {x, c.add("Add", {gate, number(1)})}), number(0.5)}));
}

void silu(Conversion& c) { c.give(c.add("Mul", {c.tensor(0), c.add("Sigmoid", {c.tensor(0)})})); }

void leaky_relu(Conversion& c) {
  c.give(c.add("LeakyRelu", {c.tensor(0)}, {{"alpha", c.is_none(1) ? 0.01 : c.number(1)}}));
}

}  // namespace vlalign::onnx::rows
