// A short number for a data set, to tell whether it is the same as before. Internal.
#pragma once

#include <string>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// The source's own, or of its names, captions and runs' weights, in their order. What the names begin with up to a
/// last
/// '/', where all share it, is left out: it tells how the location was spelled. Pictures aren't read.
std::string fingerprint_of(const PairSource& pairs);

}  // namespace vlalign
