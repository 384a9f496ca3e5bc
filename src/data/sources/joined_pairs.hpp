// Several sources of pairs as one. Internal.
#pragma once

#include <memory>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

struct WeightedPairs {
  std::shared_ptr<const PairSource> pairs;
  double weight = 1.0;  ///< how many times an epoch holds each record, see RecordRun
};

/// The records of the sources one after the other; at least one source.
std::shared_ptr<const PairSource> joined(std::vector<WeightedPairs> sources);

}  // namespace vlalign
