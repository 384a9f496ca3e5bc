// What is known of a shard's records before their bytes are read. Internal.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/pair_index.hpp"

namespace vlalign {

/// Where a member's bytes lie in its tar.
struct ShardMember {
  std::int64_t offset = 0;
  std::int64_t size = -1;  ///< -1: the record has no such member
  std::uint32_t crc = 0;   ///< CRC-32 of the bytes, where ShardTable::has_checks()

  bool is_there() const { return size >= 0; }
};

struct ShardRow {
  std::string_view key;  ///< lives as long as the table
  ShardMember picture, txt, json;
};

/// A shard's records in their order: some 60 bytes each, a third of that when packed.
class ShardTable {
 public:
  /// has_checks: whether members' check values are known.
  explicit ShardTable(bool has_checks = false) : has_checks_(has_checks) {}

  void add(std::string_view key, const ShardMember& picture, const ShardMember& txt, const ShardMember& json);

  std::int64_t size() const { return keys_.size(); }
  bool has_checks() const { return has_checks_; }
  ShardRow row(std::int64_t i) const;
  std::int64_t bytes() const;  ///< of memory, about

  /// As bytes to be kept in a file, compressed and with a check value.
  std::string pack() const;
  /// Throws Error, `name` in front, for what pack() didn't make.
  static ShardTable unpack(std::string_view packed, std::string_view name);

 private:
  static constexpr std::size_t parts = 3;

  bool has_checks_;
  StringList keys_;
  std::vector<std::array<ShardMember, parts>> members_;  // picture, txt, json
};

/// CRC-32 as gzip's.
std::uint32_t crc_of(std::string_view bytes);

}  // namespace vlalign
