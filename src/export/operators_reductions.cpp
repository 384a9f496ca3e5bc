// Sums, extremes, norms: what looks at many numbers for one.
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "export/operators.hpp"

namespace vlalign::onnx::rows {
namespace {

using Axes = std::vector<std::int64_t>;

Attributes along(const Axes& axes, bool keep) { return {{"axes", axes}, {"keepdims", std::int64_t{keep}}}; }

/// A weight, or ones where there is none.
Name weight_or_ones(Conversion& c, std::size_t i, std::int64_t count) {
  return c.is_none(i) ? c.graph().constant(at::ones({count})) : c.tensor(i);
}

Name bias_or_zeros(Conversion& c, std::size_t i, std::int64_t count) {
  return c.is_none(i) ? c.graph().constant(at::zeros({count})) : c.tensor(i);
}

}  // namespace

/// Its axes are an input, those of the other reductions an attribute.
void sum(Conversion& c) {
  const auto dtype = c.result().dtype;
  const bool whole = c.count() < 4;  // sum(self, dtype)
  const auto axes = whole ? c.axes(c.count(), c.rank_of(0)) : c.axes(1, c.rank_of(0));
  c.give(c.add("ReduceSum", {c.tensor_as(0, dtype), c.graph().integers(axes)},
               {{"keepdims", std::int64_t{!whole && c.flag(2)}}}));
}

void reduce(Conversion& c) {
  const bool whole = c.count() < 3;  // mean(self, dtype)
  const auto axes = whole ? c.axes(c.count(), c.rank_of(0)) : c.axes(1, c.rank_of(0));
  c.give(c.add(c.operation, {c.tensor_as(0, c.result().dtype)}, along(axes, !whole && c.flag(2))));
}

/// Of all numbers, or along a dimension with their places.
void extreme(Conversion& c) {
  const std::string reduction = "Reduce" + c.operation, place = "Arg" + c.operation;
  if (c.count() == 1) return c.give(c.add(reduction, {c.tensor(0)}, along(c.axes(1, c.rank_of(0)), false)));
  if (c.is_tensor(1)) return c.give(c.add(c.operation, {c.tensor(0), c.tensor(1)}));
  const auto axis = c.axis(1, c.rank_of(0));
  const bool keep = c.flag(2);
  c.give(c.add(reduction, {c.tensor(0)}, along({axis}, keep)), 0);
  c.give(c.add(place, {c.tensor(0)}, {{"axis", axis}, {"keepdims", std::int64_t{keep}}}), 1);
}

/// Engines compare integers of 32 bits, and token ids are no longer.
void argmax(Conversion& c) {
  const auto dtype = c10::isFloatingType(c.type_of(0)) ? c.type_of(0) : at::kInt;
  const auto value = c.graph().cast(c.tensor(0), c.type_of(0), dtype);
  const bool flat = c.is_none(1);
  const auto line = flat ? c.add("Reshape", {value, c.graph().integers({-1})}) : value;
  c.give(c.add(
      c.operation, {line},
      {{"axis", flat ? std::int64_t{0} : c.axis(1, c.rank_of(0))}, {"keepdims", std::int64_t{!flat && c.flag(2)}}}));
}

void any_or_all(Conversion& c) {
  const bool whole = c.count() == 1;
  const auto axes = whole ? c.axes(1, c.rank_of(0)) : c.axes(1, c.rank_of(0));
  const auto numbers = c.graph().cast(c.tensor_as(0, at::kBool), at::kBool, at::kInt);
  c.give(c.graph().cast(c.add(c.operation, {numbers}, along(axes, !whole && c.flag(2))), at::kInt, at::kBool));
}

void norm(Conversion& c) {
  const bool euclidean = c.is_none(1) || c.number(1) == 2;
  if (!euclidean) c.refuse("can be written for p = 2 alone");
  const auto axes = c.axes(2, c.rank_of(0));
  c.give(c.add("ReduceL2", {c.tensor_as(0, c.result().dtype)}, along(axes, c.flag(3))));
}

void cumulative_sum(Conversion& c) {
  const auto axis = c.graph().scalar(static_cast<double>(c.axis(1, c.rank_of(0))), at::kLong);
  c.give(c.add("CumSum", {c.tensor_as(0, c.result().dtype), axis}));
}

void softmax(Conversion& c) {
  c.give(c.add(c.operation, {c.tensor_as(0, c.result().dtype)}, {{"axis", c.axis(1, c.rank_of(0))}}));
}

void layer_norm(Conversion& c) {
  enum { input, shape, weight, bias, eps };
  const auto sizes = c.integers(shape);
  if (sizes.size() != 1 && c.is_none(weight)) c.refuse("cannot be written over several dimensions without a weight");
  Names inputs{c.tensor(input), weight_or_ones(c, weight, sizes.front())};
  if (!c.is_none(bias)) inputs.push_back(c.tensor(bias));
  c.give(c.add("LayerNormalization", inputs,
               {{"axis", -static_cast<std::int64_t>(sizes.size())}, {"epsilon", c.number(eps)}}));
}

/// Opset 17 has no group norm: an instance norm of each group, then the weights.
void group_norm(Conversion& c) {
  enum { input, groups, weight, bias, eps };
  const auto count = c.integer(groups);
  const auto& shape = c.shape_of(input);
  const auto apart = c.add("Reshape", {c.tensor(input), c.graph().integers({0, count, -1})});
  const auto normed = c.add("InstanceNormalization",
                            {apart, c.graph().constant(at::ones({count})), c.graph().constant(at::zeros({count}))},
                            {{"epsilon", c.number(eps)}});
  auto value = c.add("Reshape", {normed, c.graph().shape(shape)});
  std::vector<std::int64_t> beside(shape.size() - 1, 1);
  beside.front() = -1;  // [C, 1, 1]
  const auto over_channels = [&](std::size_t i) { return c.add("Reshape", {c.tensor(i), c.graph().integers(beside)}); };
  if (!c.is_none(weight)) value = c.add("Mul", {value, over_channels(weight)});
  c.give(c.is_none(bias) ? value : c.add("Add", {value, over_channels(bias)}));
}

void batch_norm(Conversion& c) {
  enum { input, weight, bias, running_mean, running_var, training, momentum, eps };
  if (c.flag(training) || c.is_none(running_mean)) c.refuse("can be written with running statistics alone");
  const auto channels = c.shape_of(running_mean).front().constant;
  c.give(c.add("BatchNormalization",
               {c.tensor(input), weight_or_ones(c, weight, channels), bias_or_zeros(c, bias, channels),
                c.tensor(running_mean), c.tensor(running_var)},
               {{"epsilon", c.number(eps)}}));
}

}  // namespace vlalign::onnx::rows
