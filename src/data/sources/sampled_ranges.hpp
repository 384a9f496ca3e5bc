// Ranges of a data set's records: a sample of them, and what is told of those that are read. Internal.
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

/// Tells a source of all runs with records in these ranges, which are in their order; see PairSource::expect().
void expect_runs(const PairSource& pairs, const std::vector<RecordRange>& ranges);

/// See PairSource::read_ahead(); of a range that may end behind the last record.
void read_ahead(const PairSource& pairs, const RecordRange& range);

}  // namespace vlalign
