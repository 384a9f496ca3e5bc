// The frame of a page: one file that loads nothing. Internal.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

struct HtmlPage {
  std::string_view title;     ///< as text
  std::string_view subtitle;  ///< as text; may be empty
  std::string style{};        ///< more than the common style sheet: <style> elements
  std::string body;           ///< HTML
  std::string data;           ///< JSON that the script finds under #data
  std::string_view script;    ///< behind charts.js
};

std::string html_page(const HtmlPage& page);

/// By which a page that the library made is known again.
inline constexpr std::string_view page_mark = "Made by vlalign.";

}  // namespace vlalign
