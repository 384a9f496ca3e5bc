#include "text/unicode_text.hpp"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>

#include <algorithm>

#include "text/icu_text.hpp"

namespace vlalign {
namespace {

std::u32string normalize(const icu::Normalizer2* form, UErrorCode status, std::u32string_view text) {
  check_icu(status);
  const auto normalized = form->normalize(to_icu(text), status);
  check_icu(status);
  return from_icu(normalized);
}

}  // namespace

std::u32string to_utf32(std::string_view utf8) {
  std::u32string text;
  text.reserve(utf8.size());
  while (!utf8.empty()) {
    const auto first = first_code_point(utf8);
    text.push_back(first.value);
    utf8.remove_prefix(static_cast<std::size_t>(first.length));
  }
  return text;
}

void append_utf8(std::string& utf8, char32_t code_point) {
  const auto lead = [&](char32_t mark, int shift) { utf8.push_back(static_cast<char>(mark | code_point >> shift)); };
  const auto trail = [&](int shift) { utf8.push_back(static_cast<char>(0x80 | (code_point >> shift & 0x3F))); };
  if (code_point < 0x80) return lead(0, 0);
  if (code_point < 0x800) return lead(0xC0, 6), trail(0);
  if (code_point < 0x10000) return lead(0xE0, 12), trail(6), trail(0);
  lead(0xF0, 18), trail(12), trail(6), trail(0);
}

std::string to_utf8(std::u32string_view text) {
  std::string utf8;
  utf8.reserve(text.size() * 2);
  for (const char32_t c : text) append_utf8(utf8, c);
  return utf8;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_letter(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0; }
bool is_number(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0; }

bool is_space(char32_t c) {
  if (c < 0x80) return c == U' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  return u_isUWhiteSpace(static_cast<UChar32>(c));
}

std::u32string normalize_nfc(std::u32string_view text) {
  constexpr char32_t first_combining_mark = 0x300;  // all below is in NFC
  if (std::all_of(text.begin(), text.end(), [](char32_t c) { return c < first_combining_mark; })) {
    return std::u32string(text);
  }
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  return normalize(nfc, status, text);
}

std::u32string normalize_nfkc(std::u32string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfkc = icu::Normalizer2::getNFKCInstance(status);
  return normalize(nfkc, status, text);
}

std::string to_lower(std::string_view utf8) {
  std::string lower;
  lower.reserve(utf8.size());
  icu::StringByteSink<std::string> sink(&lower);
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(utf8.data(), static_cast<std::int32_t>(utf8.size())), sink, nullptr,
                            status);
  check_icu(status);
  return lower;
}

std::u32string to_upper(std::u32string_view text) { return from_icu(to_icu(text).toUpper(icu::Locale::getRoot())); }

}  // namespace vlalign
