// The shards of an index that are being read. Internal.
#pragma once

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/sources/recent.hpp"
#include "data/sources/shard_files.hpp"
#include "data/sources/shard_index.hpp"
#include "data/sources/shard_reading.hpp"
#include "remote/read_ahead.hpp"

namespace vlalign {

/// Opens shards as they are needed. The tables of those used last are kept, 256 MB of them, and the files of 64 that
/// are on this machine. Safe to use from several threads; a shard that is wanted by several is opened once.
class OpenShards {
 public:
  OpenShards(std::vector<ShardEntry> shards, std::shared_ptr<ShardFiles> files);

  const ShardEntry& entry(std::int64_t shard) const { return shards_[static_cast<std::size_t>(shard)]; }
  std::int64_t count() const { return std::ssize(shards_); }

  /// Throws Error naming the shard when it can't be opened, or isn't the one that was indexed; again and again without
  /// trying for as long as its table would be kept.
  std::shared_ptr<const ShardTable> table(std::int64_t shard);
  ShardBytes bytes(std::int64_t shard);
  /// Its bytes, all of them on this machine: its server can't give a part.
  ShardBytes bytes_of_all(std::int64_t shard);
  /// To be called when a shard could not be read for a fault of its place: for half a minute it is refused with this
  /// error, so that its records don't wait for the same fault one by one.
  void note_fault(std::int64_t shard, const Error& error);
  /// Its bytes by another way, where there is one: those that bytes() gave are damaged.
  std::optional<ShardBytes> bytes_anew(std::int64_t shard);
  void expect(std::span<const std::int64_t> shards);
  /// Fetches a row of a remote shard before it is read, unless a copy of the shard is here. Doesn't wait.
  void read_ahead(std::int64_t shard, std::int64_t row);

 private:
  using Table = std::shared_future<std::shared_ptr<const ShardTable>>;

  std::shared_ptr<const ShardTable> read_table(std::int64_t shard);
  std::shared_ptr<const ShardTable> listed(const ShardEntry& entry);
  FileRange open_file(std::int64_t shard);
  void check_no_fault(std::int64_t shard);

  std::vector<ShardEntry> shards_;
  std::shared_ptr<ShardFiles> files_;
  Recent<Table> tables_;
  Recent<FileRange> open_;
  struct Fault {
    std::string what;
    std::chrono::steady_clock::time_point until;
  };
  std::mutex faults_mutex_;
  std::unordered_map<std::int64_t, Fault> faults_;
  std::shared_ptr<ReadAhead> ahead_ = std::make_shared<ReadAhead>();
};

}  // namespace vlalign
