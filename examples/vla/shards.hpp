#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tabletop {

/// Writes records into PREFIX-000.tar, PREFIX-001.tar, ..., which open_pairs and open_episodes read. Each file is made
/// beside its place, synced and renamed when it is whole.
class ShardWriter {
 public:
  ShardWriter(std::filesystem::path folder, std::string prefix);
  ~ShardWriter();

  void add(std::string_view key, std::span<const std::byte> png, std::string_view json);
  /// The next record begins a new file.
  void next_shard();
  /// Throws Error when something couldn't be written; without it nothing of the last file stays.
  void finish();

 private:
  struct Tar;
  std::filesystem::path folder_;
  std::string prefix_;
  int shards_ = 0;
  std::unique_ptr<Tar> tar_;
};

}  // namespace tabletop
