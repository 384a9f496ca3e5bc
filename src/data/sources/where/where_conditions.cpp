#include "data/sources/where/where_conditions.hpp"

#include <algorithm>
#include <string_view>

namespace vlalign {
namespace {

using nlohmann::json;

WhereValue value_in(const json& record, const WhereOperand& operand) {
  if (const auto* constant = std::get_if<json>(&operand)) return where_value(constant);
  return where_value(std::get<WhereField>(operand).find(record));
}

}  // namespace

WhereField::WhereField(const std::string& name, Dots dots) {
  const auto dot_of = [&](std::string_view rest) { return dots == Dots::go_inside ? rest.find('.') : rest.npos; };
  std::string_view rest = name;
  for (auto dot = dot_of(rest); dot != rest.npos; dot = dot_of(rest)) {
    parts_.push_back({std::string(rest), std::string(rest.substr(0, dot))});
    rest.remove_prefix(dot + 1);
  }
  parts_.push_back({std::string(rest), ""});
}

const json* WhereField::find(const json& record) const {
  const auto* object = &record;
  for (const auto& part : parts_) {
    if (const auto whole = object->find(part.rest); whole != object->end()) return &*whole;
    if (&part == &parts_.back()) break;
    const auto inner = object->find(part.first);
    if (inner == object->end()) break;
    object = &*inner;
  }
  return nullptr;
}

Truth WhereComparison::of(const json& record) const {
  return holds(is_, compare_values(value_in(record, left_), value_in(record, right_)));
}

Truth WhereAmong::of(const json& record) const {
  const auto value = value_in(record, value_);
  auto truth = Truth::no;
  for (const auto& one : list_) {
    truth = std::max(truth, holds(WhereOperator::equal, compare_values(value, value_in(record, one))));
    if (truth == Truth::yes) break;
  }
  return truth;
}

Truth WhereIsNull::of(const json& record) const {
  return std::holds_alternative<NoValue>(value_in(record, value_)) ? Truth::yes : Truth::no;
}

Truth WhereJoined::of(const json& record) const {
  const auto settled = by_ == By::and_ ? Truth::no : Truth::yes;
  auto truth = negated(settled);
  for (const auto& condition : conditions_) {
    const auto one = condition->of(record);
    truth = by_ == By::and_ ? std::min(truth, one) : std::max(truth, one);
    if (truth == settled) break;
  }
  return truth;
}

}  // namespace vlalign
