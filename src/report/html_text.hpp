// Text that goes into a web page. Internal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace vlalign {

/// Text as HTML content or as a quoted attribute's value. What is not UTF-8, and control characters, become U+FFFD.
std::string escape_html(std::string_view text);

/// JSON text that can stand inside <script>: without "<" no tag or comment begins or ends in it.
std::string escape_script_json(std::string_view json);

/// The first characters of a text, with an ellipsis if there were more. Invalid UTF-8 becomes U+FFFD.
std::string shorten(std::string_view text, std::size_t characters = 160);

}  // namespace vlalign
