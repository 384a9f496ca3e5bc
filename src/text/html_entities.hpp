// HTML character references such as &amp; and &#x2019;.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// What Python's html.unescape gives: all of HTML 5's names, old ones without their semicolon too, numbers with the
/// standard's corrections (html.spec.whatwg.org, "numeric character reference end state").
std::u32string unescape_html(std::u32string_view text);

/// What ftfy's unescape_html gives: only references that end in a semicolon; beyond HTML 5's, names of lower case
/// written in capitals give the capital ("&NTILDE;").
std::u32string unescape_html_with_semicolon(std::u32string_view text);

}  // namespace vlalign
