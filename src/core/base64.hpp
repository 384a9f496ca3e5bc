// Base64 (RFC 4648, section 4). Internal.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

std::string encode_base64(std::string_view bytes);

/// Padding may be missing. Throws Error "WHERE: ..." for any other character.
std::string decode_base64(std::string_view text, std::string_view where);

}  // namespace vlalign
