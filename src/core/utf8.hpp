// UTF-8: whether text is, and what comes before it. Internal.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

struct CodePoint {
  char32_t value;
  int length;         // bytes
  bool valid = true;  // false for a U+FFFD that stands for bytes that are no UTF-8
};

/// The first code point of `utf8`, which must not be empty. An invalid sequence gives U+FFFD and ends where the longest
/// beginning of a valid one ends, as in Python's errors="replace".
CodePoint first_code_point(std::string_view utf8);

bool is_utf8(std::string_view text);

/// Text that UTF-8 needs: what isn't becomes U+FFFD.
std::string as_utf8(std::string_view text);

/// The text behind a byte order mark, if it begins with one.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace vlalign
