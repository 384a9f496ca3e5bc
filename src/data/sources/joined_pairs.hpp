// Several sources of pairs as one. Internal.
#pragma once

#include <memory>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// The records of the sources one after the other; at least one source.
std::shared_ptr<const PairSource> joined(std::vector<std::shared_ptr<const PairSource>> sources);

}  // namespace vlalign
