#include "report/html_page.hpp"

#include <fmt/format.h>

#include "report/html_text.hpp"
#include "report/report_page.hpp"

namespace vlalign {

std::string html_page(const HtmlPage& page) {
  const auto subtitle =
      page.subtitle.empty() ? "" : fmt::format(R"(<p class="lead">{}</p>)", escape_html(page.subtitle));
  return fmt::format(R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>{style}</style>
{more_style}
</head>
<body>
<main>
<header><h1>{title}</h1>{subtitle}</header>
<noscript><p class="card">The curves, matrices and maps of this page are drawn by a script.</p></noscript>
{body}
<footer>{mark} This page is one file and loads nothing from a network.</footer>
</main>
<script type="application/json" id="data">{data}</script>
<script>"use strict";
(() => {{
{charts}
{script}
}})();</script>
</body>
</html>
)",
                     fmt::arg("title", escape_html(page.title)), fmt::arg("style", page_style),
                     fmt::arg("more_style", page.style), fmt::arg("subtitle", subtitle), fmt::arg("body", page.body),
                     fmt::arg("data", escape_script_json(page.data)), fmt::arg("charts", charts_script),
                     fmt::arg("script", page.script), fmt::arg("mark", page_mark));
}

}  // namespace vlalign
