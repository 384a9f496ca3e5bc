// Text as code points: conversions and the few character classes that tokenizers ask for.
#pragma once

#include <string>
#include <string_view>

#include "core/utf8.hpp"

namespace vlalign {

/// Invalid sequences become U+FFFD.
std::u32string to_utf32(std::string_view utf8);

void append_utf8(std::string& utf8, char32_t code_point);
std::string to_utf8(std::u32string_view text);

bool is_ascii(std::string_view text);
bool is_letter(char32_t c);  // Unicode category L
bool is_number(char32_t c);  // Unicode category N
bool is_space(char32_t c);   // where Python's str.split() splits

std::u32string normalize_nfc(std::u32string_view text);
std::u32string normalize_nfkc(std::u32string_view text);

/// Full, locale-independent case mappings: a final sigma is minded, U+0130 becomes two code points.
std::string to_lower(std::string_view utf8);
std::u32string to_upper(std::u32string_view text);

}  // namespace vlalign
