#include "report/html_text.hpp"

#include <algorithm>

#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

bool is_control(char32_t c) { return (c < U' ' && c != U'\n' && c != U'\t') || (c >= 0x7F && c < 0xA0); }

}  // namespace

std::string escape_html(std::string_view text) {
  auto characters = to_utf32(text);
  std::replace_if(characters.begin(), characters.end(), is_control, U'\uFFFD');
  std::string out;
  for (const char c : to_utf8(characters)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escape_script_json(std::string_view json) {
  std::string out;
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

std::string shorten(std::string_view text, std::size_t characters) {
  const auto all = to_utf32(text);
  if (all.size() <= characters) return to_utf8(all);
  return to_utf8(std::u32string_view(all).substr(0, characters)) + "…";
}

}  // namespace vlalign
