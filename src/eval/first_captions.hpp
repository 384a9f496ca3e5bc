// Of each picture one caption. Internal.
#pragma once

#include <cstdint>
#include <vector>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// The row in Embeddings::text of the first caption of each picture, [N].
std::vector<std::int64_t> first_captions(const Embeddings& embeddings);

}  // namespace vlalign
