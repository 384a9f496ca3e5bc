// SentencePiece's character for a space.
#pragma once

#include <string_view>

namespace vlalign {

inline constexpr char32_t meta_space = U'\u2581';
inline constexpr std::string_view meta_space_text = "\u2581";

}  // namespace vlalign
