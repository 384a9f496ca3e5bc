// What tells a data set from another. Internal.
#pragma once

#include <string>

#include "core/fingerprint.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Of all names, without the folder that they share, and all captions: reads every record's.
Fingerprint names_and_captions(const PairSource& pairs);

/// The source's own, or of its names, captions and runs' weights.
std::string fingerprint_of(const PairSource& pairs);

}  // namespace vlalign
