// The records of webdataset's tar shards: which members belong together, and their pictures for later.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/input_file.hpp"
#include "data/sources/tar.hpp"
#include "data/sources/unpacked_shards.hpp"

namespace vlalign {

bool is_shard(const std::filesystem::path& file);

/// Throws Error unless the file is a tar shard. others: what else would have been right, for the message.
void check_shard(const std::filesystem::path& file, std::string_view others);

/// "a.tar and 3 more", for messages about all of them.
std::string describe_files(const std::vector<std::filesystem::path>& files);

/// The members of one key, the path up to the first dot of its file name: positions in the list of members, -1 for
/// none.
struct ShardRecord {
  std::string_view key;  ///< lives as long as the reader
  static constexpr std::size_t picture_parts = 7;
  /// .jpg, .png, .jpeg, .webp, .jpe, .jfif, .apng, .txt, .json
  std::array<std::int64_t, picture_parts + 2> members{-1, -1, -1, -1, -1, -1, -1, -1, -1};

  std::int64_t picture() const;  ///< the first there is
  std::int64_t txt() const { return members[picture_parts]; }
  std::int64_t json() const { return members[picture_parts + 1]; }
};

/// One shard, while its index is made.
class ShardReader {
 public:
  explicit ShardReader(FileRange tar);

  const std::string& name() const { return tar_.name; }
  const TarMember& member(std::int64_t i) const { return members_[static_cast<std::size_t>(i)]; }
  std::string text(std::int64_t member) const;
  /// In the order of the keys' first members. A part that a key already has begins a new record: keys may come again.
  std::vector<ShardRecord> records() const;

 private:
  FileRange tar_;
  std::vector<TarMember> members_;
};

/// Where pictures lie in shards; they are read when asked for, from any thread.
class ShardPictures {
 public:
  /// Pictures added from here on lie in this shard. Throws Error naming it and the fault.
  ShardReader open_shard(const std::filesystem::path& path);

  /// Returns the new picture's number.
  std::int64_t add(const ShardReader& reader, std::int64_t member);

  std::string shard(std::int64_t picture) const;
  std::vector<std::byte> read(std::int64_t picture) const;

 private:
  // A shard is opened for each picture: there may be more of them than a process may hold open.
  struct Shard {
    std::filesystem::path path;
    bool compressed;
  };
  struct Picture {
    std::int64_t offset;
    std::uint32_t size;
    std::uint32_t shard;
  };

  mutable UnpackedShards unpacked_;
  std::vector<Shard> shards_;
  std::vector<Picture> pictures_;
};

}  // namespace vlalign
