#include "data/sources/sampled_ranges.hpp"

#include <algorithm>
#include <numeric>

namespace vlalign {

std::vector<RecordRange> sampled_ranges(const PairSource& pairs, std::int64_t most) {
  const auto size = pairs.size();
  if (size <= most) return {{0, size}};
  std::vector<RecordRange> ranges;
  const auto runs = pairs.runs();
  if (runs.empty()) {
    for (std::int64_t i = 0; i < most; ++i) {
      const auto record = static_cast<std::int64_t>(static_cast<__int128>(size) * i / most);
      ranges.push_back({record, record + 1});
    }
    return ranges;
  }
  // Runs are taken while the share of the records that were passed asks for more.
  std::int64_t begin = 0, taken = 0;
  for (const auto& run : runs) {
    const bool due = static_cast<__int128>(taken) * size <= static_cast<__int128>(begin) * most;
    if (due) ranges.push_back({begin, begin + run.records});
    if (due) taken += run.records;
    begin += run.records;
  }
  return ranges;
}

void expect_runs(const PairSource& pairs, const std::vector<RecordRange>& ranges) {
  const auto runs = pairs.runs();
  if (runs.empty()) return;
  std::vector<std::int64_t> first;
  std::int64_t begin = 0;
  auto range = ranges.begin();
  for (const auto& run : runs) {
    const auto end = begin + run.records;
    while (range != ranges.end() && range->end <= begin) ++range;
    if (range != ranges.end() && range->begin < end) first.push_back(std::max(begin, range->begin));
    begin = end;
  }
  pairs.expect(first);
}

void read_ahead(const PairSource& pairs, const RecordRange& range) {
  const auto end = std::min(range.end, pairs.size());
  std::vector<std::int64_t> records(static_cast<std::size_t>(std::max<std::int64_t>(0, end - range.begin)));
  std::iota(records.begin(), records.end(), range.begin);
  pairs.read_ahead(records);
}

}  // namespace vlalign
