#include "core/utf8.hpp"

#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace vlalign {
namespace {

/// The text behind the ASCII that it begins with, 8 bytes a step: most text is nothing else.
std::string_view behind_ascii(std::string_view text) {
  constexpr std::uint64_t high_bits = 0x8080808080808080;
  for (std::uint64_t word = 0; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
    std::memcpy(&word, text.data(), sizeof word);
    if ((word & high_bits) != 0) break;
  }
  while (!text.empty() && static_cast<unsigned char>(text.front()) < 0x80) text.remove_prefix(1);
  return text;
}

}  // namespace

CodePoint first_code_point(std::string_view utf8) {
  const auto size = static_cast<std::int32_t>(std::min<std::size_t>(utf8.size(), U8_MAX_LENGTH));
  std::int32_t length = 0;
  UChar32 value = 0;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
  U8_NEXT(utf8.data(), length, size, value);
#pragma GCC diagnostic pop
  if (value < 0) return {U'\uFFFD', length, false};
  return {static_cast<char32_t>(value), length};
}

bool is_utf8(std::string_view text) {
  for (text = behind_ascii(text); !text.empty(); text = behind_ascii(text)) {
    const auto first = first_code_point(text);
    if (!first.valid) return false;
    text.remove_prefix(static_cast<std::size_t>(first.length));
  }
  return true;
}

std::string as_utf8(std::string_view text) {
  std::string utf8;
  while (!text.empty()) {
    const auto first = first_code_point(text);
    const auto length = static_cast<std::size_t>(first.length);
    utf8 += first.valid ? text.substr(0, length) : "\xEF\xBF\xBD";
    text.remove_prefix(length);
  }
  return utf8;
}

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

}  // namespace vlalign
