// What CLIP does to a caption before splitting it into words.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Repairs the text as ftfy's fix_text does, resolves HTML references twice, makes all white space single spaces, trims
/// and lower-cases. UTF-8 in and out; invalid sequences become U+FFFD.
/// Source: open_clip's tokenizer.py, whose clean="lower" this equals (with ftfy 6.3).
std::string clean_caption(std::string_view caption);

}  // namespace vlalign
