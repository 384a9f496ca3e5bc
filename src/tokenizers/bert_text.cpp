#include "tokenizers/bert_text.hpp"

#include <unicode/uchar.h>

#include <algorithm>

#include "text/unicode_text.hpp"
#include "tokenizers/hugging_face_text.hpp"

namespace vlalign {
namespace {

// The category in Unicode 8, 0 for what came later. Five characters have changed it since.
std::uint32_t category_mask(char32_t c) {
  switch (c) {
    case 0x166D:
    case 0x111C9:
      return U_GC_PO_MASK;
    case 0x1734:
      return U_GC_MN_MASK;
    case 0x1885:
    case 0x1886:
      return U_GC_LO_MASK;
    case 0xA9BD:
      return U_GC_MC_MASK;
  }
  constexpr std::uint8_t newest = 8;
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(c), age);
  return age[0] <= newest ? U_GET_GC_MASK(static_cast<UChar32>(c)) : 0;
}

bool is_control(char32_t c) {
  if (c == U'\t' || c == U'\n' || c == U'\r') return false;
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  return (category_mask(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
}

bool is_accent(char32_t c) { return c >= 0x300 && (category_mask(c) & U_GC_MN_MASK) != 0; }

bool is_punctuation(char32_t c) {
  if (c < 0x80) return c > 0x20 && c < 0x7F && !u_isalnum(static_cast<UChar32>(c));
  return (category_mask(c) & U_GC_P_MASK) != 0;
}

// Google's BERT begins the fifth range at 2B820, Hugging Face's tokenizers later.
bool is_chinese(char32_t c) {
  const auto is_in = [&](char32_t first, char32_t last) { return c >= first && c <= last; };
  return c >= 0x3400 &&
         (is_in(0x3400, 0x4DBF) || is_in(0x4E00, 0x9FFF) || is_in(0xF900, 0xFAFF) || is_in(0x20000, 0x2A6DF) ||
          is_in(0x2A700, 0x2B81F) || is_in(0x2B920, 0x2CEAF) || is_in(0x2F800, 0x2FA1F));
}

std::u32string cleaned(std::string_view utf8, bool split_chinese_characters) {
  std::u32string text;
  text.reserve(utf8.size());
  while (!utf8.empty()) {
    const auto [c, length, valid] = first_code_point(utf8);
    utf8.remove_prefix(static_cast<std::size_t>(length));
    if (c == 0xFFFD || is_control(c)) continue;
    if (is_white_space(c)) {
      text.push_back(U' ');
    } else if (split_chinese_characters && is_chinese(c)) {
      text.insert(text.end(), {U' ', c, U' '});
    } else {
      text.push_back(c);
    }
  }
  return text;
}

bool normalize_plain(std::string_view text, bool lower_case, std::string& result) {
  result.reserve(text.size());
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
    if (is_control(static_cast<char32_t>(c))) continue;
    result.push_back(lower_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c);
  }
  return true;
}

}  // namespace

std::string normalize_for_bert(std::string_view text, const BertNormalization& how) {
  std::string plain;
  if (normalize_plain(text, how.lower_case, plain)) return plain;
  auto result = cleaned(text, how.split_chinese_characters);
  if (how.strip_accents) {
    result = normalize_nfd_of_unicode_9(result);
    std::erase_if(result, is_accent);
  }
  if (how.lower_case) result = lower_each(result);
  return to_utf8(result);
}

std::string_view next_bert_word(std::string_view text, std::size_t& position) {
  const auto at = [&](std::size_t place) { return first_code_point(text.substr(place)); };
  while (position < text.size() && is_white_space(at(position).value)) {
    position += static_cast<std::size_t>(at(position).length);
  }
  const auto start = position;
  while (position < text.size()) {
    const auto [c, length, valid] = at(position);
    if (is_white_space(c)) break;
    const bool splits = is_punctuation(c);
    if (splits && position > start) break;
    position += static_cast<std::size_t>(length);
    if (splits) break;
  }
  return text.substr(start, position - start);
}

}  // namespace vlalign
