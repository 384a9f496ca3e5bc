#include "text/mojibake.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "text/damaged_utf8.hpp"
#include "text/misread_text.hpp"
#include "text/single_byte_encoding.hpp"

namespace vlalign {
namespace {

std::optional<std::u32string> read_as_utf8(std::u32string_view text, const SingleByteEncoding& encoding) {
  auto bytes = encoding.encode(text);
  if (!bytes) return std::nullopt;
  // In Mac Roman these bytes are an en dash and a space.
  if (!encoding.is_mac()) bytes = restore_byte_a0(*bytes);
  if (encoding.kind() == SingleByteEncoding::Kind::windows) bytes = replace_lost_bytes(*bytes);
  return decode_utf8_strictly(*bytes);
}

// Fixes the misread parts of a text that isn't misread as a whole.
std::u32string fix_parts(std::u32string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const bool is_inside_garble = at > 0 && is_sure_continuation(text[at - 1]);
    const auto length = is_inside_garble ? 0 : utf8_shaped_length(text.substr(at));
    const auto part = text.substr(at, std::max<std::size_t>(length, 1));
    if (length > 0 && length < text.size() && looks_misread(part)) {
      result += fix_mojibake(std::u32string(part));
    } else {
      result += part;
    }
    at += part.size();
  }
  return result;
}

std::u32string fix_once(const std::u32string& text) {
  if (!looks_misread(text)) return text;
  for (const auto& encoding : single_byte_encodings()) {
    if (auto fixed = read_as_utf8(text, encoding)) return *std::move(fixed);
  }
  auto fixed = fix_parts(text);
  if (fixed == text) std::transform(fixed.begin(), fixed.end(), fixed.begin(), fix_c1_control);
  return fixed;
}

}  // namespace

std::u32string fix_mojibake(std::u32string text) {
  for (;;) {
    auto fixed = fix_once(text);
    if (fixed == text) return text;
    text = std::move(fixed);
  }
}

char32_t fix_c1_control(char32_t c) {
  static const auto& windows_1252 = single_byte_encodings()[1];
  return c >= 0x80 && c <= 0x9F ? windows_1252.decode(static_cast<unsigned char>(c)) : c;
}

}  // namespace vlalign
