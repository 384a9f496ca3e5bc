#include "text/html_entities.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>

#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

constexpr std::string_view packed_names =
#include "text/html_names.inc"
    ;

struct Entity {
  std::u32string value;
  bool needs_semicolon = true;
};
using Entities = std::unordered_map<std::u32string, Entity>;

Entities parse_names() {
  Entities entities;
  for (const char* at = packed_names.begin(); at != packed_names.end();) {
    const char* const mark = std::find_if(at, packed_names.end(), [](char c) { return c == ':' || c == '!'; });
    auto& entity = entities[std::u32string(at, mark)];
    entity.needs_semicolon = *mark == ':';
    for (at = mark; *at != ' ';) {
      std::uint32_t code_point = 0;
      at = std::from_chars(at + 1, packed_names.end(), code_point, 16).ptr;
      entity.value.push_back(code_point);
    }
    ++at;
  }
  return entities;
}

const Entities& html_entities() {
  static const Entities entities = parse_names();
  return entities;
}

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_hex_digit(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F'); }
bool is_alphanumeric(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }
bool ends_name(char32_t c) { return std::u32string_view(U"\t\n\f <&#;").find(c) != std::u32string_view::npos; }

// The position after at most `limit` characters from `at` on that satisfy the predicate.
template <typename Predicate>
std::size_t skip(std::u32string_view text, std::size_t at, std::size_t limit, Predicate predicate) {
  const auto end = std::min(text.size(), limit < text.size() - at ? at + limit : text.size());
  while (at < end && predicate(text[at])) ++at;
  return at;
}

char32_t number_in(std::u32string_view digits, char32_t base) {
  char32_t number = 0;
  for (const char32_t c : digits) {
    const char32_t digit = is_digit(c) ? c - U'0' : (c | 0x20) - U'a' + 10;
    number = std::min<char32_t>(number * base + digit, 0x110000);
  }
  return number;
}

bool is_noncharacter(char32_t c) { return (c >= 0xFDD0 && c <= 0xFDEF) || (c & 0xFFFE) == 0xFFFE; }
bool is_dropped_control(char32_t c) {
  return (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F;
}

std::u32string character_numbered(char32_t number) {
  // What Windows-1252 has at 0x80 to 0x9F.
  static constexpr char32_t windows_1252[] =
      U"\u20AC\x81\u201A\u0192\u201E\u2026\u2020\u2021\u02C6\u2030\u0160\u2039\u0152\x8D\u017D\x8F"
      U"\x90\u2018\u2019\u201C\u201D\u2022\u2013\u2014\u02DC\u2122\u0161\u203A\u0153\x9D\u017E\u0178";
  if (number >= 0x80 && number <= 0x9F) return {windows_1252[number - 0x80]};
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) return U"\uFFFD";
  if (is_dropped_control(number) || is_noncharacter(number)) return {};
  return {number};
}

struct Reference {
  std::u32string value;
  std::size_t end;  // where the text goes on
};

// text[at] is '&', text[at + 1] is '#'.
std::optional<Reference> numeric_reference(std::u32string_view text, std::size_t at) {
  const bool is_hex = at + 2 < text.size() && (text[at + 2] == U'x' || text[at + 2] == U'X');
  const auto first = at + (is_hex ? 3 : 2);
  if (first >= text.size()) return std::nullopt;
  const auto end = skip(text, first, text.size(), is_hex ? is_hex_digit : is_digit);
  if (end == first) return std::nullopt;
  const auto number = number_in(text.substr(first, end - first), is_hex ? 16 : 10);
  const bool has_semicolon = end < text.size() && text[end] == U';';
  return Reference{character_numbered(number), end + has_semicolon};
}

std::optional<Reference> named_reference(std::u32string_view text, std::size_t at) {
  constexpr std::size_t longest_name = 32;
  const auto first = at + 1;
  const auto end = skip(text, first, longest_name, [](char32_t c) { return !ends_name(c); });
  const auto& entities = html_entities();
  if (end < text.size() && text[end] == U';') {
    const auto found = entities.find(std::u32string(text.substr(first, end - first)));
    if (found != entities.end()) return Reference{found->second.value, end + 1};
  }
  for (auto length = end - first; length >= 2; --length) {
    const auto found = entities.find(std::u32string(text.substr(first, length)));
    if (found != entities.end() && !found->second.needs_semicolon) {
      return Reference{found->second.value, first + length};
    }
  }
  return std::nullopt;
}

// The names of ftfy: HTML 5's, and those of lower case in capitals unless HTML gives these a meaning of their own.
Entities parse_names_and_capitals() {
  auto entities = html_entities();
  for (const auto& [name, entity] : html_entities()) {
    if (std::any_of(name.begin(), name.end(), [](char32_t c) { return c >= U'A' && c <= U'Z'; })) continue;
    const auto capitals = to_upper(name);
    const auto reference = U"&" + capitals + U";";
    if (unescape_html(reference) == reference) entities[capitals].value = to_upper(entity.value);
  }
  return entities;
}

std::optional<Reference> reference_with_semicolon(std::u32string_view text, std::size_t at) {
  constexpr std::size_t longest_name = 24;
  static const Entities entities = parse_names_and_capitals();
  const bool is_number = at + 1 < text.size() && text[at + 1] == U'#';
  const auto first = at + (is_number ? 2 : 1);
  if (first >= text.size()) return std::nullopt;
  const auto end = skip(text, first, longest_name, is_alphanumeric);
  if (end == first || end == text.size() || text[end] != U';') return std::nullopt;
  if (is_number) {
    auto reference = numeric_reference(text, at);
    if (!reference || reference->end != end + 1 || reference->value == U";") return std::nullopt;
    return reference;
  }
  const auto found = entities.find(std::u32string(text.substr(first, end - first)));
  if (found == entities.end()) return std::nullopt;
  return Reference{found->second.value, end + 1};
}

template <typename Parse>
std::u32string replace_references(std::u32string_view text, Parse parse) {
  std::u32string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto ampersand = std::min(text.find(U'&', at), text.size());
    result.append(text.substr(at, ampersand - at));
    at = ampersand;
    if (at == text.size()) break;
    if (const auto reference = parse(text, at)) {
      result.append(reference->value);
      at = reference->end;
    } else {
      result.push_back(text[at++]);
    }
  }
  return result;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) {
  return replace_references(text, [](std::u32string_view whole, std::size_t at) -> std::optional<Reference> {
    if (at + 1 == whole.size()) return std::nullopt;
    return whole[at + 1] == U'#' ? numeric_reference(whole, at) : named_reference(whole, at);
  });
}

std::u32string unescape_html_with_semicolon(std::u32string_view text) {
  return replace_references(text, reference_with_semicolon);
}

}  // namespace vlalign
