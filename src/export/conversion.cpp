#include "export/conversion.hpp"

#include <algorithm>
#include <numeric>

namespace vlalign::onnx {

void Conversion::refuse(std::string_view why) const { fail("[export] {}: {} {}", what_, operator_name(), why); }

template <typename Kind>
const Kind& Conversion::argument(std::size_t i, const char* expected) const {
  const auto* found = i < count() ? std::get_if<Kind>(&op_.arguments[i]) : nullptr;
  if (!found) refuse(fmt::format("cannot be written with this argument {}: expected {}", i + 1, expected));
  return *found;
}

bool Conversion::is_none(std::size_t i) const {
  if (i >= count() || std::holds_alternative<std::monostate>(op_.arguments[i])) return true;
  const auto* id = std::get_if<ValueId>(&op_.arguments[i]);
  return id && id->is_none();
}

bool Conversion::is_tensor(std::size_t i) const {
  return !is_none(i) && std::holds_alternative<ValueId>(op_.arguments[i]);
}

ValueId Conversion::id(std::size_t i) const { return argument<ValueId>(i, "a tensor"); }

const Program::Value& Conversion::operand(std::size_t i) const {
  if (!is_tensor(i)) refuse(fmt::format("cannot be written without a tensor as argument {}", i + 1));
  return program_.at(id(i));
}

Name Conversion::name_of_value(ValueId id) {
  auto& name = names_[static_cast<std::size_t>(id.number)];
  const auto& value = program_.at(id);
  if (name.empty() && value.constant.defined()) name = graph_.constant(value.constant, value.name);
  if (name.empty()) refuse("reads what no operator gives");
  return name;
}

Name Conversion::tensor_as(std::size_t i, at::ScalarType dtype) {
  if (!is_tensor(i)) {
    const auto* size = i < count() ? std::get_if<Size>(&op_.arguments[i]) : nullptr;
    if (size && !size->is_constant()) return graph_.cast(graph_.size(*size), at::kLong, dtype);
    return graph_.scalar(number(i), dtype);
  }
  return graph_.cast(tensor(i), type_of(i), dtype);
}

const std::vector<ValueId>& Conversion::list(std::size_t i) const {
  return argument<std::vector<ValueId>>(i, "tensors");
}

Size Conversion::size(std::size_t i) const { return argument<Size>(i, "an integer"); }

std::int64_t Conversion::integer(std::size_t i) const {
  const auto value = size(i);
  if (!value.is_constant()) refuse(fmt::format("cannot be written with {} as argument {}", to_string(value), i + 1));
  return value.constant;
}

double Conversion::number(std::size_t i) const {
  if (const auto* flag = i < count() ? std::get_if<bool>(&op_.arguments[i]) : nullptr) return *flag ? 1 : 0;
  const bool whole = i < count() && std::holds_alternative<Size>(op_.arguments[i]);
  return whole ? static_cast<double>(integer(i)) : argument<double>(i, "a number");
}

bool Conversion::flag(std::size_t i, bool otherwise) const {
  return is_none(i) ? otherwise : argument<bool>(i, "true or false");
}

const std::string& Conversion::word(std::size_t i) const { return argument<std::string>(i, "a word"); }

const std::vector<Size>& Conversion::sizes(std::size_t i) const {
  return argument<std::vector<Size>>(i, "a list of integers");
}

std::vector<std::int64_t> Conversion::integers(std::size_t i) const {
  std::vector<std::int64_t> all;
  for (const auto& each : sizes(i)) {
    if (!each.is_constant()) refuse(fmt::format("cannot be written with {} in argument {}", to_string(each), i + 1));
    all.push_back(each.constant);
  }
  return all;
}

std::int64_t Conversion::axis(std::size_t i, std::int64_t rank) const {
  const auto given = integer(i);
  return given < 0 ? given + rank : given;
}

std::vector<std::int64_t> Conversion::axes(std::size_t i, std::int64_t rank) const {
  std::vector<std::int64_t> all;
  if (!is_none(i) && std::holds_alternative<Size>(op_.arguments[i])) return {axis(i, rank)};
  if (!is_none(i)) all = integers(i);
  for (auto& each : all) each = each < 0 ? each + rank : each;
  if (!all.empty()) return all;
  all.resize(static_cast<std::size_t>(rank));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

void Conversion::give(const Name& name, std::size_t i) {
  names_[static_cast<std::size_t>(op_.results.at(i).number)] = name;
}

Name Conversion::reshaped(const Name& value, const std::vector<Size>& from, const std::vector<Size>& to) {
  if (from == to) return value;
  constexpr std::int64_t as_it_is = 0, the_rest = -1;
  std::vector<std::int64_t> target;
  std::size_t unknown = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const bool kept = i < from.size() && from[i] == to[i];
    if (!to[i].is_constant() && !kept) ++unknown;
    target.push_back(to[i].is_constant() ? to[i].constant : kept ? as_it_is : the_rest);
  }
  return add("Reshape", {value, unknown <= 1 ? graph_.integers(target) : graph_.shape(to)});
}

Name Conversion::expanded(const Name& value, const std::vector<Size>& from, const std::vector<Size>& to) {
  if (from == to) return value;
  auto target = to;  // 1 leaves a dimension as it is
  const auto in_front = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i] == to[in_front + i]) target[in_front + i] = {.constant = 1};
  return add("Expand", {value, graph_.shape(target)});
}

}  // namespace vlalign::onnx
