#include "core/json/python_json.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/json/dump_json.hpp"
#include "core/utf8.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::string_view no_character = "\xEF\xBF\xBF";  // U+FFFF

/// The number that four hexadecimal digits at the beginning of a text say, or -1.
int four_digits(std::string_view text) {
  if (text.size() < 4) return -1;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
  return error == std::errc() && end == text.data() + 4 && text[0] != '-' ? value : -1;
}

/// Of the escape at the beginning of a text; -1 where there is no \uXXXX.
int escaped_unit(std::string_view text) { return text.starts_with("\\u") ? four_digits(text.substr(2)) : -1; }

bool is_high(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// What Python writes for a number that JSON has none for, or a number too large, at the beginning of a text.
std::string_view number_beyond_json(std::string_view text) {
  for (const std::string_view literal : {"NaN", "Infinity", "-Infinity"})
    if (text.starts_with(literal)) return literal;
  const auto number = text.substr(0, text.find_first_not_of("+-.0123456789eE"));
  const bool large = !number.empty() && std::isinf(std::strtod(std::string(number).c_str(), nullptr));
  return large ? number : std::string_view();
}

bool is_key(std::string_view behind) {
  const auto next = behind.find_first_not_of(" \t\r\n");
  return next != behind.npos && behind[next] == ':';
}

std::string text_of(const json& binary) {
  const auto& bytes = binary.get_binary();
  return {bytes.begin(), bytes.end()};
}

/// What stands in a text with U+FFFF, as Python wrote it.
std::string shown_beyond_json(std::string text) {
  for (auto at = text.find(no_character); at != text.npos; at = text.find(no_character, at)) {
    const auto unit = four_digits(std::string_view(text).substr(at + no_character.size()));
    text.replace(at, no_character.size(), is_high(unit) || is_low(unit) ? "\\u" : "");
  }
  return text;
}

class Strict {
 public:
  explicit Strict(std::string_view text) : rest_(text) {}

  std::string made() {
    while (!rest_.empty()) in_string_ ? step_in_string() : step_outside();
    return std::move(out_);
  }

 private:
  void copy(std::size_t bytes) {
    bytes = std::min(bytes, rest_.size());
    out_ += rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
  }

  void step_outside() {
    const auto number = number_beyond_json(rest_);
    if (number.empty()) {
      in_string_ = rest_.front() == '"';
      const auto numeral = rest_.find_first_not_of("+-.0123456789eE");  // not to be looked at from its middle
      return copy(std::max<std::size_t>(1, std::min(numeral, rest_.size())));
    }
    const auto behind = rest_.substr(number.size());
    if (is_key(behind)) return copy(number.size());
    out_ += fmt::format("\"\\uffff{}\"", number);
    rest_ = behind;
  }

  void step_in_string() {
    if (rest_.front() == '\\') return step_over_escape();
    const auto first = first_code_point(rest_);
    if (first.valid) {
      in_string_ = rest_.front() != '"';
      return copy(static_cast<std::size_t>(first.length));
    }
    out_ += fmt::format("\\uffffdc{:02x}", static_cast<unsigned char>(rest_.front()));
    rest_.remove_prefix(1);
  }

  void step_over_escape() {
    const auto unit = escaped_unit(rest_);
    if (is_high(unit) && is_low(escaped_unit(rest_.substr(6)))) return copy(12);
    if (!is_high(unit) && !is_low(unit)) return copy(2);
    out_ += "\\uffff";
    rest_.remove_prefix(2);  // its digits follow as text
  }

  std::string_view rest_;
  std::string out_;
  bool in_string_ = false;
};

}  // namespace

std::string as_strict_json(std::string_view text) { return Strict(text).made(); }

void take_out_of_text(json& value) {
  if (!value.is_string()) return;
  const auto& text = value.get_ref<const std::string&>();
  if (text.find(no_character) != text.npos) value = json::binary({text.begin(), text.end()});
}

std::string shown(const json& value) {
  if (value.is_binary()) return shown_beyond_json(text_of(value));
  if (!value.is_structured()) return dump_readable(value);
  std::string items;
  for (const auto& [key, item] : value.items()) {
    if (!items.empty()) items += ',';
    if (value.is_object()) items += dump_readable(json(key)) + ':';
    items += shown(item);
  }
  return value.is_object() ? "{" + items + "}" : "[" + items + "]";
}

std::optional<std::string> file_name_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_binary()) return std::nullopt;
  const auto text = text_of(value);
  std::string name;
  for (std::string_view rest = text; !rest.empty();) {
    const bool marked = rest.starts_with(no_character);
    const auto unit = marked ? four_digits(rest.substr(no_character.size())) : -1;
    if (marked && (unit < 0xDC80 || unit > 0xDCFF)) return std::nullopt;
    name.push_back(marked ? static_cast<char>(unit - 0xDC00) : rest.front());
    rest.remove_prefix(marked ? no_character.size() + 4 : 1);
  }
  return name;
}

}  // namespace vlalign
