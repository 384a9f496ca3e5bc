// ICU's strings from and to code points.
#pragma once

#include <unicode/unistr.h>

#include <string>
#include <string_view>

namespace vlalign {

icu::UnicodeString to_icu(std::u32string_view text);
std::u32string from_icu(const icu::UnicodeString& text);

/// Throws Error unless ICU succeeded.
void check_icu(UErrorCode status);

}  // namespace vlalign
