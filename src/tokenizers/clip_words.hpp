// How open_clip's tokenizer splits a cleaned caption into words.
#pragma once

#include <cstddef>
#include <string_view>

namespace vlalign {

inline constexpr std::string_view start_text = "<start_of_text>";
inline constexpr std::string_view end_text = "<end_of_text>";

/// The next word of a cleaned caption from `position` on, which moves behind it; empty at the end of the text.
/// A word is a run of letters, one digit, a run of anything else that isn't white space, an English contraction's
/// ending ('s, 't, 're, 've, 'm, 'll, 'd), or start_text or end_text.
std::string_view next_word(std::string_view text, std::size_t& position);

}  // namespace vlalign
