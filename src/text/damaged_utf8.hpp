// Bytes that are UTF-8 but for some damage.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace vlalign {

/// Puts back the byte A0 where it has become a space inside what would else be a UTF-8 sequence of a likely character.
std::string restore_byte_a0(std::string_view bytes);

/// Makes U+FFFD of every UTF-8 sequence of which bytes are lost (1A, or '?' at most once), and of every other 1A.
std::string replace_lost_bytes(std::string_view bytes);

/// Decodes UTF-8, with surrogate pairs of three bytes each (CESU-8) and Java's two-byte zero; nothing when a sequence
/// is invalid.
std::optional<std::u32string> decode_utf8_strictly(std::string_view bytes);

}  // namespace vlalign
