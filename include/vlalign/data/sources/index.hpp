#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "vlalign/core/export.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

struct IndexOptions {
  /// The file to write. Without it vlalign-index.json in the shards' folder, where open_pairs() finds it.
  std::filesystem::path out{};
  /// Of all these options where, caption_keys, max_bad and cache count. An index of chosen records is used by who
  /// chooses the same.
  PairOptions pairs{};
  /// Called on some thread as shards are done with: how many, of how many, and the bytes of those that were read.
  std::function<void(std::int64_t done, std::int64_t of, std::int64_t bytes)> progress{};
};

struct IndexSummary {
  std::int64_t shards = 0;
  std::int64_t records = 0;  ///< good ones
  std::int64_t bad = 0;      ///< left out
  std::int64_t bytes = 0;    ///< of the shards
  std::filesystem::path file{};
};

/// Reads tar shards once, several at a time, and writes down their records, so that the data set opens at once however
/// large it is: a JSON file with a few numbers a shard and, beside it, a file with where each record's bytes lie and
/// their CRC-32. What is read is compared with that, so that damage is found. Shards that an earlier call has read, one
/// that was interrupted too, and that haven't changed since are not read again. To use the index, name its file instead
/// of the shards, or let it lie beside them; names in it are relative to it where they can be.
///
/// Throws Error for a location of anything but tar shards, a shard that is no whole tar, too many bad records, and a
/// place for the index that holds something else.
VLALIGN_EXPORT IndexSummary index_pairs(std::string_view location, const IndexOptions& options = {});

}  // namespace vlalign
