// How far two words are from each other. Internal.
#pragma once

#include <cstddef>
#include <string_view>

namespace vlalign {

/// Letters to put in, take out or change until one word is the other (Levenshtein 1966).
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace vlalign
