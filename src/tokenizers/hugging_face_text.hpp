// Text as Hugging Face's tokenizers library sees it: its normal forms know Unicode 9 only.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Unicode's property White_Space (Python's str.split() knows four control characters more).
bool is_white_space(char32_t c);

/// Characters newer than Unicode 9 are left as they are, and combine with nothing.
std::u32string normalize_nfc_of_unicode_9(std::u32string_view text);
std::u32string normalize_nfd_of_unicode_9(std::u32string_view text);

/// Each character's lower case by itself: every sigma becomes the same one.
std::u32string lower_each(std::u32string_view text);

}  // namespace vlalign
