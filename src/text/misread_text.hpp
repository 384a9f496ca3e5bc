// How UTF-8 looks when it was decoded in a single-byte encoding.
#pragma once

#include <cstddef>
#include <string_view>

namespace vlalign {

/// True when the text has a sequence of characters that hardly ever occurs in real text but does in misread UTF-8.
bool looks_misread(std::u32string_view text);

/// The length of the run of characters at the text's start that have the shape of whole UTF-8 sequences: a lead byte
/// and its continuation bytes, as Latin-1 or a Windows encoding shows them.
std::size_t utf8_shaped_length(std::u32string_view text);

/// True for what a continuation byte looks like and that isn't a space, dash, quotation mark, bullet or ellipsis.
bool is_sure_continuation(char32_t c);

}  // namespace vlalign
