#include "data/sources/sampled_ranges.hpp"

#include <algorithm>

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

}  // namespace vlalign
