// Names of ClipTokenizer's cleanings.
#pragma once

#include <optional>
#include <string_view>

#include "tokenizers/clip_tokenizer.hpp"

namespace vlalign {

/// As ClipTokenizer::save() writes it into tokenizer_config.json; none for another name.
std::optional<ClipCleaning> clip_cleaning_of(std::string_view name);

/// Of open_clip's SimpleTokenizer(clean=...): lower, whitespace or canonicalize. Throws Error for another.
ClipCleaning open_clip_cleaning_of(std::string_view clean);

}  // namespace vlalign
