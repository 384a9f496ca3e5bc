// Small things done to ASCII in text.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Without white space at both ends.
std::string_view trim(std::string_view text);

/// A to Z as a to z, other bytes as they are.
std::string lower(std::string_view text);

}  // namespace vlalign
