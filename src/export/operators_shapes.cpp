// What moves numbers and computes none.
#include <ATen/ops/full.h>

#include <algorithm>
#include <numeric>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

constexpr Size one{.constant = 1};

Size sum_of(const Size& a, const Size& b) {
  return {a.constant + b.constant, a.per_row + b.per_row, a.per_token + b.per_token, a.per_both + b.per_both};
}

void give_transposed(Conversion& c, std::int64_t first, std::int64_t second) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(c.rank_of(0)));
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[static_cast<std::size_t>(first)], order[static_cast<std::size_t>(second)]);
  c.give(first == second ? c.tensor(0) : c.add("Transpose", {c.tensor(0)}, {{"perm", order}}));
}

Name sliced(Conversion& c, const Name& value, std::int64_t axis, const Size& from, const Size& to,
            std::int64_t step = 1) {
  Names inputs{value, c.graph().size(from), c.graph().size(to), c.graph().integers({axis})};
  if (step != 1) inputs.push_back(c.graph().integers({step}));
  return c.add("Slice", inputs);
}

/// [] of a size.
Name scalar_of(Conversion& c, const Size& size) {
  if (size.is_constant()) return c.graph().scalar(static_cast<double>(size.constant), at::kLong);
  return c.add("Squeeze", {c.graph().size(size), c.graph().integers({0})});
}

void give_filled(Conversion& c, double value) {
  const auto& result = c.result();
  const auto filling = at::full({1}, value, result.dtype);
  c.give(c.add("ConstantOfShape", {c.graph().shape(result.shape)}, {{"value", filling}}));
}

}  // namespace

void reshape(Conversion& c) { c.give(c.reshaped(c.tensor(0), c.shape_of(0), c.result().shape)); }

void transpose(Conversion& c) { give_transposed(c, c.axis(1, c.rank_of(0)), c.axis(2, c.rank_of(0))); }

void matrix_transpose(Conversion& c) {
  const auto rank = c.rank_of(0);
  if (rank < 2) return same(c);
  give_transposed(c, rank - 2, rank - 1);
}

void permute(Conversion& c) { c.give(c.add("Transpose", {c.tensor(0)}, {{"perm", c.axes(1, c.rank_of(0))}})); }

void expand(Conversion& c) { c.give(c.expanded(c.tensor(0), c.shape_of(0), c.result().shape)); }

void repeat(Conversion& c) {
  auto shape = c.shape_of(0);
  shape.insert(shape.begin(), c.sizes(1).size() - shape.size(), one);
  c.give(c.add("Tile", {c.reshaped(c.tensor(0), c.shape_of(0), shape), c.graph().shape(c.sizes(1))}));
}

/// Each number several times, one behind the other: a dimension more, which is widened and taken in.
void repeat_interleave(Conversion& c) {
  if (c.is_none(2)) c.refuse("cannot be written without a dimension");
  const auto rank = c.rank_of(0), axis = c.axis(2, rank);
  auto apart = c.shape_of(0);
  apart.insert(apart.begin() + axis + 1, one);
  auto wide = apart;
  wide[static_cast<std::size_t>(axis) + 1] = c.size(1);
  const auto widened = c.expanded(c.reshaped(c.tensor(0), c.shape_of(0), apart), apart, wide);
  c.give(c.reshaped(widened, wide, c.result().shape));
}

void concatenate(Conversion& c) {
  const auto& result = c.result();
  const auto axis = c.axis(1, static_cast<std::int64_t>(result.shape.size()));
  Names parts;
  for (const auto id : c.list(0)) {
    const auto& part = c.at(id);
    const bool empty = part.shape.size() == 1 ? part.shape[0] == Size() : part.shape.at(axis) == Size();
    if (!empty) parts.push_back(c.graph().cast(c.name_of_value(id), part.dtype, result.dtype));
  }
  c.give(parts.size() == 1 ? parts.front() : c.add("Concat", parts, {{"axis", axis}}));
}

void stack(Conversion& c) {
  const auto& result = c.result();
  const auto axis = c.axis(1, static_cast<std::int64_t>(result.shape.size()));
  Names parts;
  for (const auto id : c.list(0)) {
    const auto part = c.graph().cast(c.name_of_value(id), c.at(id).dtype, result.dtype);
    parts.push_back(c.add("Unsqueeze", {part, c.graph().integers({axis})}));
  }
  c.give(c.add("Concat", parts, {{"axis", axis}}));
}

/// chunk, split and split_with_sizes: the results know their sizes.
void split(Conversion& c) {
  const auto axis = c.is_none(2) ? 0 : c.axis(2, c.rank_of(0));
  std::vector<Size> sizes;
  for (std::size_t i = 0; i < c.results(); ++i) sizes.push_back(c.result(i).shape[static_cast<std::size_t>(axis)]);
  if (sizes.size() == 1) return c.give(c.tensor(0));
  const auto parts =
      c.graph().add_several("Split", {c.tensor(0), c.graph().shape(sizes)}, sizes.size(), {{"axis", axis}});
  for (std::size_t i = 0; i < parts.size(); ++i) c.give(parts[i], i);
}

void unbind(Conversion& c) {
  const auto axis = c.is_none(1) ? 0 : c.axis(1, c.rank_of(0));
  for (std::size_t i = 0; i < c.results(); ++i)
    c.give(c.add("Gather", {c.tensor(0), c.graph().scalar(static_cast<double>(i), at::kLong)}, {{"axis", axis}}), i);
}

void narrow(Conversion& c) {
  const auto axis = c.axis(1, c.rank_of(0));
  if (c.result().shape == c.shape_of(0)) return c.give(c.tensor(0));
  c.give(sliced(c, c.tensor(0), axis, c.size(2), sum_of(c.size(2), c.size(3))));
}

void slice(Conversion& c) {
  if (c.result().shape == c.shape_of(0)) return c.give(c.tensor(0));
  const auto axis = c.axis(1, c.rank_of(0));
  const auto from = c.is_none(2) ? Size() : c.size(2);
  const auto to = c.is_none(3) ? c.shape_of(0)[static_cast<std::size_t>(axis)] : c.size(3);
  c.give(sliced(c, c.tensor(0), axis, from, to, c.integer(4, 1)));
}

void select(Conversion& c) {
  const auto axis = c.axis(1, c.rank_of(0));
  c.give(c.add("Gather", {c.tensor(0), scalar_of(c, c.size(2))}, {{"axis", axis}}));
}

/// What stands above the diagonal of a matrix, or below it.
void triangle(Conversion& c) {
  const std::int64_t upper = c.operation == "upper" ? 1 : 0;
  c.give(c.add("Trilu", {c.tensor(0), c.graph().scalar(static_cast<double>(c.integer(1, 0)), at::kLong)},
               {{"upper", upper}}));
}

/// ATen counts from the last dimension, before and behind each; ONNX has all in front first.
void pad(Conversion& c) {
  const bool zeros = c.operator_name() == "aten::constant_pad_nd" || c.word(2) == "constant";
  if (!zeros) c.refuse("can be written for constant numbers alone");
  const auto around = c.sizes(1);
  const auto rank = static_cast<std::size_t>(c.rank_of(0));
  std::vector<Size> pads(2 * rank);
  for (std::size_t i = 0; i < around.size() / 2; ++i) {
    pads[rank - 1 - i] = around[2 * i];
    pads[2 * rank - 1 - i] = around[2 * i + 1];
  }
  const std::size_t value = c.operator_name() == "aten::constant_pad_nd" ? 2 : 3;
  const double filling = c.is_none(value) ? 0.0 : c.number(value);
  c.give(c.add("Pad", {c.tensor(0), c.graph().shape(pads), c.graph().scalar(filling, c.type_of(0))}));
}

void zeros(Conversion& c) { give_filled(c, 0); }
void ones(Conversion& c) { give_filled(c, 1); }
void full(Conversion& c) { give_filled(c, c.number(c.operator_name() == "aten::new_full" ? 2 : 1)); }

void arange(Conversion& c) {
  const bool has_start = c.operator_name() == "aten::arange" && c.count() > 5;
  const auto from = has_start ? c.size(0) : Size();
  const auto to = has_start ? c.size(1) : c.size(0);
  const auto step = c.count() > 6 ? c.size(2) : one;
  const auto numbers = c.add("Range", {scalar_of(c, from), scalar_of(c, to), scalar_of(c, step)});
  c.give(c.graph().cast(numbers, at::kLong, c.result().dtype));
}

}  // namespace vlalign::onnx::rows
