// What was found out about single shards, kept for the next time. Internal.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/sources/index_shard.hpp"
#include "data/sources/shard_index.hpp"

namespace vlalign {

/// A file for each shard and choice of records in cache_folder() / "shards". Safe to use from several threads and
/// processes: a file is written whole or not at all, and one that is damaged is as good as none.
class IndexCache {
 public:
  explicit IndexCache(std::string wanted);

  struct Known {
    ShardEntry entry;
    std::vector<std::string> faults;
  };

  /// Nothing for a shard that has changed since, or whose check values are asked for and not known.
  std::optional<Known> find(const std::string& shard, const ShardVersion& version, bool contents) const;

  /// Gives the entry, whose table is in the cache or, where that can't be written, in memory; that is warned of once.
  ShardEntry keep(const std::string& shard, const ShardVersion& version, const IndexedShard& indexed);

 private:
  std::filesystem::path file_of(const std::string& shard) const;

  std::filesystem::path folder_;  // empty: there is none
  std::string wanted_;
  std::atomic<bool> warned_ = false;
};

}  // namespace vlalign
