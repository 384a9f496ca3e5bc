#include "tokenizers/hugging_face_text.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <algorithm>

#include "text/icu_text.hpp"

namespace vlalign {
namespace {

const icu::UnicodeSet& unicode_9() {
  static const auto set = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet characters(u"[:age=9.0:]", status);
    check_icu(status);
    characters.freeze();
    return characters;
  }();
  return set;
}

std::u32string normalize(const icu::Normalizer2& form, std::u32string_view text, char32_t first_changed) {
  if (std::all_of(text.begin(), text.end(), [&](char32_t c) { return c < first_changed; })) {
    return std::u32string(text);
  }
  UErrorCode status = U_ZERO_ERROR;
  const auto normalized = form.normalize(to_icu(text), status);
  check_icu(status);
  return from_icu(normalized);
}

}  // namespace

bool is_white_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)); }

std::u32string normalize_nfc_of_unicode_9(std::u32string_view text) {
  static const auto form = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* nfc = icu::Normalizer2::getNFCInstance(status);
    check_icu(status);
    return icu::FilteredNormalizer2(*nfc, unicode_9());
  }();
  constexpr char32_t first_combining_mark = 0x300;
  return normalize(form, text, first_combining_mark);
}

std::u32string normalize_nfd_of_unicode_9(std::u32string_view text) {
  static const auto form = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* nfd = icu::Normalizer2::getNFDInstance(status);
    check_icu(status);
    return icu::FilteredNormalizer2(*nfd, unicode_9());
  }();
  constexpr char32_t first_decomposed = 0xC0;
  return normalize(form, text, first_decomposed);
}

std::u32string lower_each(std::u32string_view text) {
  constexpr char32_t capital_dotted_i = 0x130;  // the only one whose lower case is two characters
  std::u32string lower;
  lower.reserve(text.size());
  for (const char32_t c : text) {
    if (c == capital_dotted_i) {
      lower += U"i\u0307";
    } else {
      lower.push_back(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
    }
  }
  return lower;
}

}  // namespace vlalign
