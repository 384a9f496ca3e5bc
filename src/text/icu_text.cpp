#include "text/icu_text.hpp"

#include "core/check.hpp"

namespace vlalign {

icu::UnicodeString to_icu(std::u32string_view text) {
  return icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                       static_cast<std::int32_t>(text.size()));
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string result(static_cast<std::size_t>(text.countChar32()), U'\0');
  UErrorCode status = U_ZERO_ERROR;
  text.toUTF32(reinterpret_cast<UChar32*>(result.data()), static_cast<std::int32_t>(result.size()), status);
  if (status != U_STRING_NOT_TERMINATED_WARNING) check_icu(status);
  return result;
}

void check_icu(UErrorCode status) { check(U_SUCCESS(status), "[ICU] {}", u_errorName(status)); }

}  // namespace vlalign
