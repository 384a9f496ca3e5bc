// Some of many. Internal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace vlalign {

/// `count` of 0 ... size - 1 from 0 on, evenly spaced; all where there are fewer.
inline std::vector<std::int64_t> evenly_spaced(std::int64_t size, std::int64_t count) {
  const auto taken = std::min(size, count);
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < taken; ++i) all.push_back(i * size / taken);
  return all;
}

}  // namespace vlalign
