// Characters that an address can't hold as they are. Internal.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Everything but letters, digits, - . _ ~ and what `kept` lists as %XX, byte by byte.
std::string percent_encoded(std::string_view text, std::string_view kept = "");

}  // namespace vlalign
