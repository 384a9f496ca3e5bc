#include "text/text_cleaning.hpp"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "text/html_entities.hpp"
#include "text/mojibake.hpp"
#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

// ---- ftfy's fixes ----

// Ligatures and digraphs that stand for Latin letters.
std::u32string_view split_ligature(char32_t c) {
  static constexpr std::pair<char32_t, std::u32string_view> ligatures[] = {
      {U'Ĳ', U"IJ"},  {U'ĳ', U"ij"},  {U'ŉ', U"'n"}, {U'Ǆ', U"DŽ"}, {U'ǅ', U"Dž"}, {U'ǆ', U"dž"},
      {U'Ǉ', U"LJ"},  {U'ǈ', U"Lj"},  {U'ǉ', U"lj"}, {U'Ǌ', U"NJ"}, {U'ǋ', U"Nj"}, {U'ǌ', U"nj"},
      {U'Ǳ', U"DZ"},  {U'ǲ', U"Dz"},  {U'ǳ', U"dz"}, {U'ﬀ', U"ff"}, {U'ﬁ', U"fi"}, {U'ﬂ', U"fl"},
      {U'ﬃ', U"ffi"}, {U'ﬄ', U"ffl"}, {U'ﬅ', U"ſt"}, {U'ﬆ', U"st"},
  };
  const auto* found =
      std::find_if(std::begin(ligatures), std::end(ligatures), [&](const auto& l) { return l.first == c; });
  return found == std::end(ligatures) ? std::u32string_view() : found->second;
}

bool is_single_quote(char32_t c) { return c == 0x2BC || (c >= 0x2018 && c <= 0x201B); }
bool is_double_quote(char32_t c) { return c >= 0x201C && c <= 0x201F; }
bool is_line_break(char32_t c) { return c == U'\r' || c == 0x2028 || c == 0x2029; }
bool is_half_or_full_width(char32_t c) { return c >= 0xFF01 && c <= 0xFFEF; }

void append_fixed(std::u32string& text, char32_t c) {
  c = fix_c1_control(c);
  if (c < 0x80 && c != U'\r') return text.push_back(c);
  if (is_single_quote(c)) return text.push_back(U'\'');
  if (is_double_quote(c)) return text.push_back(U'"');
  if (is_line_break(c)) return text.push_back(U'\n');
  if (c == 0x3000) return text.push_back(U' ');
  if (is_half_or_full_width(c)) {
    text += normalize_nfkc(std::u32string_view(&c, 1));
  } else if (const auto letters = split_ligature(c); !letters.empty()) {
    text += letters;
  } else {
    text.push_back(c);
  }
}

// The length of a terminal's colour or cursor command at the start of the text, else 0.
std::size_t terminal_escape_length(std::u32string_view text) {
  if (!text.starts_with(U"\x1B[")) return 0;
  std::size_t end = 2;
  while (end < text.size() && (text[end] == U';' || u_isdigit(static_cast<UChar32>(text[end])))) ++end;
  const bool is_complete = end < text.size() && text[end] < 0x80 && u_isalpha(static_cast<UChar32>(text[end]));
  return is_complete ? end + 1 : 0;
}

// Control characters without any effect on how text looks.
bool is_removed(char32_t c) {
  if (c < 0x20) return !(c == U'\t' || c == U'\n' || c == U'\f' || c == U'\r');
  return c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

std::u32string remove_controls(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const auto escape = terminal_escape_length(text);
    if (escape == 0 && !is_removed(text[0])) result.push_back(text[0]);
    text.remove_prefix(std::max<std::size_t>(escape, 1));
  }
  return result;
}

std::u32string fix_line(std::u32string line, bool has_references) {
  constexpr int most_passes = 32;  // "&amp;amp;amp;..." would take as many as it has "amp;"
  for (int pass = 0; pass < most_passes; ++pass) {
    const auto fixed_encoding = fix_mojibake(has_references ? unescape_html_with_semicolon(line) : line);
    const std::u32string_view text = fixed_encoding;
    std::u32string fixed;
    fixed.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (!text.substr(i, 2).starts_with(U"\r\n")) append_fixed(fixed, text[i]);
    }
    fixed = normalize_nfc(remove_controls(fixed));
    if (fixed == line) break;
    line = std::move(fixed);
  }
  return line;
}

// Line by line; from the first line with a '<' on, the text is taken for HTML proper and its references are left.
std::u32string fix_text(std::u32string_view text) {
  constexpr std::size_t longest_line = 1'000'000;
  std::u32string result;
  bool has_references = true;
  while (!text.empty()) {
    const auto line_feed = text.find(U'\n');
    const auto length = std::min(line_feed == text.npos ? text.size() : line_feed + 1, longest_line);
    const auto line = text.substr(0, length);
    if (line.find(U'<') != line.npos) has_references = false;
    result += fix_line(std::u32string(line), has_references);
    text.remove_prefix(length);
  }
  return result;
}

// ---- The same for text that needs no fix ----

enum class Plain : unsigned char { no, space, yes };

constexpr auto plain_bytes = [] {
  std::array<Plain, 256> plain{};
  for (std::size_t c = 0x20; c < 0x7F; ++c) plain[c] = Plain::yes;
  for (const char c : {' ', '\t', '\n', '\f', '\r'}) plain[static_cast<unsigned char>(c)] = Plain::space;
  plain['&'] = Plain::no;
  return plain;
}();

// False, with `result` spoiled, at the first character that is anything but printable ASCII or white space, or may
// begin an HTML reference.
bool clean_plain_caption(std::string_view caption, bool lower_case, std::string& result) {
  result.reserve(caption.size());
  bool is_after_space = false;
  for (const char c : caption) {
    const auto plain = plain_bytes[static_cast<unsigned char>(c)];
    if (plain == Plain::no) return false;
    if (plain == Plain::space) {
      is_after_space = true;
      continue;
    }
    if (is_after_space && !result.empty()) result.push_back(' ');
    is_after_space = false;
    result.push_back(lower_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c);
  }
  return true;
}

}  // namespace

std::string repair_caption(std::string_view caption) {
  std::string result;
  if (clean_plain_caption(caption, false, result)) return result;
  return collapse_spaces(unescape_html(unescape_html(fix_text(to_utf32(caption)))));
}

std::string clean_caption(std::string_view caption) {
  std::string result;
  if (clean_plain_caption(caption, true, result)) return result;
  return to_lower(repair_caption(caption));
}

std::string canonicalize_caption(std::string_view caption) {
  auto text = repair_caption(caption);
  std::replace(text.begin(), text.end(), '_', ' ');
  return collapse_spaces(to_utf32(to_lower(without_punctuation(text))));
}

std::string without_punctuation(std::string_view text) {
  std::string result;
  std::copy_if(text.begin(), text.end(), std::back_inserter(result), [](char c) {
    return !(c > ' ' && c < 0x7F) || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  });
  return result;
}

std::string collapse_spaces(std::u32string_view text) {
  std::string result;
  result.reserve(text.size() * 2);
  bool is_after_space = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      is_after_space = true;
      continue;
    }
    if (is_after_space && !result.empty()) result.push_back(' ');
    is_after_space = false;
    append_utf8(result, c);
  }
  return result;
}

}  // namespace vlalign
