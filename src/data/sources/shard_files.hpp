// The bytes of shards, wherever they lie. Internal.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/input_file.hpp"
#include "data/sources/unpacked_shards.hpp"
#include "remote/remote_cache.hpp"

namespace vlalign {

/// Whether a location is pipe:COMMAND, whose output is a shard.
bool is_pipe(std::string_view location);

/// What tells whether a shard is the one that was indexed.
struct ShardVersion {
  std::int64_t bytes = -1;
  std::string
      mark;  ///< of a local file when it was changed last, of a remote one its ETag; empty where nothing is known

  bool operator==(const ShardVersion&) const = default;
};

/// Opens shards by name: files, URLs and pipe:COMMAND, compressed or not. Safe to use from several threads.
class ShardFiles {
 public:
  /// cache: where whole remote shards are kept
  explicit ShardFiles(CacheOptions cache) : cache_options_(std::move(cache)) {}

  /// A shard's bytes as its .tar has them. Those of a remote one are read by ranges until the cache holds all of it.
  /// Throws Error naming it and the fault.
  FileRange open(const std::string& name);
  /// The same, all of it on this machine: for who reads all of it.
  FileRange fetch(const std::string& name);
  /// By ranges, past a copy that may be damaged; nothing where there is no other source than what open() gives.
  std::optional<FileRange> open_anew(const std::string& name);

  /// From now on all of this shard is fetched before it is read: its server can't give parts of it.
  void note_no_ranges(const std::string& name);

  ShardVersion version(const std::string& name);
  /// Fetches remote shards in the background, in the order of their need.
  void expect(const std::vector<std::string>& names);

 private:
  RemoteCache& cache();
  FileRange output_of(const std::string& name);
  bool is_read_by_ranges(const std::string& name);
  std::shared_ptr<const RandomAccess> here(const std::string& name);

  CacheOptions cache_options_;
  std::mutex mutex_;
  std::map<std::string, bool> by_ranges_;  // of remote shards that were opened
  std::unique_ptr<RemoteCache> cache_;     // made when the first remote shard is opened
  UnpackedShards unpacked_;
};

}  // namespace vlalign
