// Internal.
#pragma once

#include <string>
#include <vector>

#include "vlalign/ranks/ranks.hpp"

namespace vlalign {

/// Some texts of each rank, any bytes but NUL in them, in the order of the ranks. A collective function.
std::vector<std::string> gather_texts(const Ranks& ranks, const std::vector<std::string>& own);

}  // namespace vlalign
