#include "core/utf8.hpp"

#include <unicode/utf8.h>

#include <algorithm>

namespace vlalign {

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
  while (!text.empty()) {
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
