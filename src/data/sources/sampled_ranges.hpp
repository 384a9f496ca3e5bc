// A part of a data set that stands for all of it. Internal.
#pragma once

#include <cstdint>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

struct RecordRange {
  std::int64_t begin, end;
};

/// Ranges of a data set's records, in their order, that hold about `most` of them, or all where it has no more: of a
/// source with runs whole runs, at least one, spread evenly, so that few shards are opened; of another one record at a
/// time.
std::vector<RecordRange> sampled_ranges(const PairSource& pairs, std::int64_t most);

}  // namespace vlalign
