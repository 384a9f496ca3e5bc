// Text that was decoded in the wrong encoding.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Finds sequences that hardly ever occur in real text but are what UTF-8 looks like when read as a single-byte
/// encoding, and reads them again as UTF-8; C1 control characters are read as Windows-1252. Source: the heuristic of
/// ftfy 6.3 (R. Speer, "ftfy", zenodo.2591652), whose fix_encoding this equals.
std::u32string fix_mojibake(std::u32string text);

/// The Windows-1252 character of a C1 control (U+0080 to U+009F), where there is one.
char32_t fix_c1_control(char32_t c);

}  // namespace vlalign
