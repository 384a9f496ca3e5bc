#include "data/sources/where/where_values.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>

#include "core/ascii.hpp"
#include "core/json/python_json.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

template <typename T>
std::errc read_whole(std::string_view text, T& number) {
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  return read.ptr == end ? read.ec : std::errc::invalid_argument;
}

WhereValue value_of_number(double number) {
  return std::isnan(number) ? WhereValue(NoValue()) : WhereValue(WhereNumber(number));
}

/// Of what Python writes beyond JSON: NaN, Infinity and numbers too large are numbers still.
WhereValue value_beyond_json(const json& value) {
  const auto number = number_in(shown(value));
  return number && std::holds_alternative<double>(*number) ? value_of_number(std::get<double>(*number)) : OtherValue();
}

/// An integer and a number of which neither is rounded.
std::partial_ordering compare_mixed(__int128 integer, double number) {
  constexpr double beyond = 0x1p100;  // any integer of 64 bits
  if (!(std::abs(number) < beyond)) return 0.0 <=> number;
  const auto whole = static_cast<__int128>(number);
  if (integer != whole) return integer <=> whole;
  return static_cast<double>(whole) <=> number;
}

std::partial_ordering compare_numbers(const WhereNumber& left, const WhereNumber& right) {
  const auto* left_integer = std::get_if<__int128>(&left);
  const auto* right_integer = std::get_if<__int128>(&right);
  if (left_integer && right_integer) return *left_integer <=> *right_integer;
  if (left_integer) return compare_mixed(*left_integer, std::get<double>(right));
  if (right_integer) return 0 <=> compare_mixed(*right_integer, std::get<double>(left));
  return std::get<double>(left) <=> std::get<double>(right);
}

WhereValue truth_in(std::string_view text) {
  const auto word = trim(text);
  if (word.size() > 5) return OtherValue();  // nothing is copied for nothing
  const auto small = lower(word);
  return small == "true" || small == "false" ? WhereValue(small == "true") : OtherValue();
}

/// A text as the other value's kind; anything else as it is.
WhereValue made_like(const WhereValue& value, const WhereValue& other) {
  const auto* text = std::get_if<std::string_view>(&value);
  if (text && std::holds_alternative<bool>(other)) return truth_in(*text);
  if (!text || !std::holds_alternative<WhereNumber>(other)) return value;
  const auto number = number_in(*text);
  return number ? WhereValue(*number) : OtherValue();
}

}  // namespace

Truth negated(Truth truth) {
  if (truth == Truth::unknown) return truth;
  return truth == Truth::yes ? Truth::no : Truth::yes;
}

WhereValue where_value(const json* value) {
  if (value == nullptr) return NoValue();
  switch (value->type()) {
    case json::value_t::null:
      return NoValue();
    case json::value_t::boolean:
      return value->get<bool>();
    case json::value_t::number_integer:
      return WhereNumber(__int128{value->get<std::int64_t>()});
    case json::value_t::number_unsigned:
      return WhereNumber(__int128{value->get<std::uint64_t>()});
    case json::value_t::number_float:
      return value_of_number(value->get<double>());
    case json::value_t::string:
      return std::string_view(value->get_ref<const std::string&>());
    case json::value_t::binary:
      return value_beyond_json(*value);
    default:
      return OtherValue();
  }
}

std::optional<WhereNumber> number_in(std::string_view text) {
  text = trim(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  std::int64_t integer = 0;
  if (read_whole(text, integer) == std::errc()) return __int128{integer};
  std::uint64_t natural = 0;
  if (read_whole(text, natural) == std::errc()) return __int128{natural};
  double number = 0.0;
  const auto read = read_whole(text, number);
  if (read == std::errc::invalid_argument) return std::nullopt;
  if (read == std::errc::result_out_of_range)
    number = std::strtod(std::string(text).c_str(), nullptr);  // 0 or infinity
  return number;
}

std::partial_ordering compare_values(const WhereValue& left, const WhereValue& right) {
  const auto one = made_like(left, right), other = made_like(right, left);
  if (one.index() != other.index()) return std::partial_ordering::unordered;
  if (const auto* number = std::get_if<WhereNumber>(&one)) {
    return compare_numbers(*number, std::get<WhereNumber>(other));
  }
  if (const auto* text = std::get_if<std::string_view>(&one)) return *text <=> std::get<std::string_view>(other);
  if (const auto* truth = std::get_if<bool>(&one)) return *truth <=> std::get<bool>(other);
  return std::partial_ordering::unordered;
}

Truth holds(WhereOperator is, std::partial_ordering order) {
  if (order == std::partial_ordering::unordered) return Truth::unknown;
  const auto said = [&] {
    switch (is) {
      case WhereOperator::less:
        return order < 0;
      case WhereOperator::at_most:
        return order <= 0;
      case WhereOperator::more:
        return order > 0;
      case WhereOperator::at_least:
        return order >= 0;
      case WhereOperator::equal:
        return order == 0;
      case WhereOperator::unequal:
        return order != 0;
    }
    return false;
  };
  return said() ? Truth::yes : Truth::no;
}

}  // namespace vlalign
