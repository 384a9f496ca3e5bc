// Members of an open shard. Internal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/input_file.hpp"
#include "data/sources/shard_table.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {

/// Bytes that are not those that were indexed: damaged on their way, or another shard's.
class DamagedBytes : public Error {
 public:
  using Error::Error;
};

/// A shard's bytes as its .tar has them, and whether what is read must agree with the check values of its table.
struct ShardBytes {
  FileRange tar;
  bool checked = false;

  /// Throws Error naming the shard for bytes that can't be read, DamagedBytes naming the record's key too.
  std::vector<std::byte> read(const ShardMember& member, std::string_view key) const;
  std::string text(const ShardMember& member, std::string_view key) const;
};

}  // namespace vlalign
