// Products of matrices, and attention.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <limits>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

/// The transpose of a matrix: of a constant, once and for all.
Name transposed(Conversion& c, std::size_t i) {
  const auto& value = c.operand(i);
  if (value.constant.defined()) return c.graph().constant(value.constant.t(), value.name);
  return c.add("Transpose", {c.tensor(i)}, {{"perm", std::vector<std::int64_t>{1, 0}}});
}

Name times(Conversion& c, const Name& value, double factor) {
  return factor == 1.0 ? value : c.add("Mul", {value, c.graph().scalar(factor, c.result().dtype)});
}

/// What attention adds to its scores for a mask: a mask of booleans says which keys count.
Name added_mask(Conversion& c, std::size_t i) {
  const auto dtype = c.result().dtype;
  if (c.type_of(i) != at::kBool) return c.tensor_as(i, dtype);
  return c.add("Where", {c.tensor(i), c.graph().scalar(0, dtype),
                         c.graph().scalar(-std::numeric_limits<double>::infinity(), dtype)});
}

/// [L, S] with -inf where a key stands behind its query.
Name causal_mask_of(Conversion& c, const Size& queries, const Size& keys) {
  const auto infinite = at::full({1}, -std::numeric_limits<double>::infinity(), at::kFloat);
  const auto all = c.add("ConstantOfShape", {c.graph().shape({queries, keys})}, {{"value", infinite}});
  return c.add("Trilu", {all, c.graph().scalar(1, at::kLong)}, {{"upper", std::int64_t{1}}});
}

}  // namespace

void linear(Conversion& c) {
  const auto product = c.add("MatMul", {c.tensor(0), transposed(c, 1)});
  c.give(c.is_none(2) ? product : c.add("Add", {product, c.tensor(2)}));
}

void matrix_product(Conversion& c) { c.give(c.add("MatMul", {c.tensor(0), c.tensor(1)})); }

/// beta * argument 0 + alpha * (1 times 2)
void add_product(Conversion& c) {
  const auto product = times(c, c.add("MatMul", {c.tensor(1), c.tensor(2)}), c.is_none(4) ? 1.0 : c.number(4));
  c.give(c.add("Add", {times(c, c.tensor(0), c.is_none(3) ? 1.0 : c.number(3)), product}));
}

void attention(Conversion& c) {
  enum { query, key, value, mask, dropout, is_causal, scale, grouped };
  if (c.number(dropout) > 0 || c.flag(grouped)) c.refuse("cannot be written with dropout or shared keys");
  const auto rank = c.rank_of(query);
  const auto width = c.shape_of(query).back();
  const auto factor = c.is_none(scale) ? 1.0 / std::sqrt(static_cast<double>(width.constant)) : c.number(scale);
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < rank; ++i) order.push_back(i);
  std::swap(order[static_cast<std::size_t>(rank) - 1], order[static_cast<std::size_t>(rank) - 2]);
  const auto keys = c.add("Transpose", {c.tensor(key)}, {{"perm", order}});
  auto scores = c.add("MatMul", {times(c, c.tensor(query), factor), keys});
  if (!c.is_none(mask)) scores = c.add("Add", {scores, added_mask(c, mask)});
  const auto places = [&](std::size_t i) { return c.shape_of(i)[static_cast<std::size_t>(rank) - 2]; };
  if (c.flag(is_causal)) scores = c.add("Add", {scores, causal_mask_of(c, places(query), places(key))});
  const auto weights = c.add("Softmax", {scores}, {{"axis", std::int64_t{-1}}});
  c.give(c.add("MatMul", {weights, c.tensor(value)}));
}

}  // namespace vlalign::onnx::rows
