// What open_clip does to a caption before splitting it into words. UTF-8 in and out; invalid sequences become U+FFFD.
#pragma once

#include <string>
#include <string_view>

namespace vlalign {

/// Repairs the text as ftfy's fix_text does, resolves HTML references twice, makes all white space single spaces and
/// trims. Source: open_clip's tokenizer.py, whose clean="whitespace" this equals (with ftfy 6.3).
std::string repair_caption(std::string_view caption);

/// The same in lower case: open_clip's clean="lower".
std::string clean_caption(std::string_view caption);

/// The same without ASCII's punctuation, which a "_" separates and anything else joins: open_clip's
/// clean="canonicalize", as SigLIP's captions were made.
std::string canonicalize_caption(std::string_view caption);

/// Without ASCII's punctuation.
std::string without_punctuation(std::string_view text);

/// Trimmed, with single spaces for all white space.
std::string collapse_spaces(std::u32string_view text);

}  // namespace vlalign
