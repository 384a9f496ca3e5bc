// Reads a shard once and notes where its records lie. Internal.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/sources/record_filter.hpp"
#include "data/sources/shard_reading.hpp"
#include "data/sources/shard_table.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

/// Which of a shard's records are wanted, and what is read of them.
struct ShardWanted {
  std::vector<CaptionKey> keys;                ///< of the captions, see PairOptions
  std::shared_ptr<const RecordFilter> filter;  ///< null: all
  bool contents = false;                       ///< read pictures too, for their check values
};

struct IndexedShard {
  ShardTable table;
  std::vector<std::string> faults;  ///< of the records that were left out, "shard:key: why"
  std::string fingerprint;          ///< of keys, texts and the pictures' sizes
};

/// The records of a shard: see open_shards() for what one is. Throws Error naming the shard when it is no whole tar.
///   beside: the parquet file that img2dataset wrote beside the shard, or empty; where it holds all that the filter
///     asks for, the records' JSON isn't read for it
IndexedShard index_shard(const FileRange& tar, const ShardWanted& wanted, const std::filesystem::path& beside = {});

/// The same from the members' names alone: records may turn out bad when they are read. Nothing is filtered.
ShardTable list_shard(const FileRange& tar);

}  // namespace vlalign
