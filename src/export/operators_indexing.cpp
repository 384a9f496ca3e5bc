// Rows by their numbers.
#include <algorithm>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

/// x[i, j] with indices for the first dimensions.
void give_first_dimensions(Conversion& c, const std::vector<ValueId>& indices) {
  const auto& result = c.result().shape;
  const auto rest = static_cast<std::ptrdiff_t>(c.shape_of(0).size() - indices.size());
  const std::vector<Size> common(result.begin(), result.end() - rest);
  Names columns;
  for (const auto id : indices) {
    const auto wide = c.expanded(c.name_of_value(id), c.at(id).shape, common);
    columns.push_back(c.add("Unsqueeze", {wide, c.graph().integers({-1})}));
  }
  const auto places = columns.size() == 1 ? columns.front() : c.add("Concat", columns, {{"axis", std::int64_t{-1}}});
  c.give(c.add("GatherND", {c.tensor(0), places}));
}

}  // namespace

void embedding(Conversion& c) { c.give(c.add("Gather", {c.tensor(0), c.tensor(1)}, {{"axis", std::int64_t{0}}})); }

void index_select(Conversion& c) {
  c.give(c.add("Gather", {c.tensor(0), c.tensor(2)}, {{"axis", c.axis(1, c.rank_of(0))}}));
}

void gather(Conversion& c) {
  c.give(c.add("GatherElements", {c.tensor(0), c.tensor(2)}, {{"axis", c.axis(1, c.rank_of(0))}}));
}

void index(Conversion& c) {
  const auto& indices = c.list(1);
  for (const auto id : indices)
    if (!id.is_none() && c.at(id).dtype != at::kLong) c.refuse("can be written for whole numbers as indices alone");
  const auto given = std::count_if(indices.begin(), indices.end(), [](ValueId id) { return !id.is_none(); });
  const auto first = std::find_if(indices.begin(), indices.end(), [](ValueId id) { return !id.is_none(); });
  if (given == 1)
    return c.give(c.add("Gather", {c.tensor(0), c.name_of_value(*first)},
                        {{"axis", static_cast<std::int64_t>(first - indices.begin())}}));
  if (given != std::ssize(indices)) c.refuse("cannot be written with a dimension left out before an index");
  give_first_dimensions(c, indices);
}

/// A mask of the places along the dimension, then a choice.
void index_fill(Conversion& c) {
  const auto rank = c.rank_of(0), axis = c.axis(1, rank);
  const auto& size = c.shape_of(0)[static_cast<std::size_t>(axis)];
  const auto dtype = c.result().dtype;
  auto& graph = c.graph();
  const auto zero = graph.scalar(0, at::kLong), step = graph.scalar(1, at::kLong);
  const auto end = c.add("Squeeze", {graph.size(size), graph.integers({0})});
  const auto places = c.add("Unsqueeze", {c.add("Range", {zero, end, step}), graph.integers({1})});  // [N, 1]
  const auto equal = graph.cast(c.add("Equal", {places, c.tensor(2)}), at::kBool, at::kInt);
  const auto filled =
      c.add("ReduceMax", {equal}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});
  std::vector<std::int64_t> beside(static_cast<std::size_t>(rank - axis), 1);
  beside.front() = -1;
  const auto mask = graph.cast(c.add("Reshape", {filled, graph.integers(beside)}), at::kInt, at::kBool);
  const auto value = c.tensor_as(3, dtype);
  if (dtype != at::kBool) return c.give(c.add("Where", {mask, value, c.tensor(0)}));
  c.give(c.add("Or", {c.add("And", {mask, value}), c.add("And", {c.add("Not", {mask}), c.tensor(0)})}));
}

}  // namespace vlalign::onnx::rows
