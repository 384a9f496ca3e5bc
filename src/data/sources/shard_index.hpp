// Which shards a data set has, and how many records each. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/shard_files.hpp"
#include "data/sources/shard_table.hpp"

namespace vlalign {

/// Where a packed ShardTable is: in memory, or in a file, on this machine or another. Neither: nobody made one.
struct TablePlace {
  std::shared_ptr<const std::string> packed;
  std::string file;
  std::int64_t offset = 0, size = 0;

  bool is_known() const { return packed || !file.empty(); }
};

struct ShardEntry {
  std::string name;
  ShardVersion version;
  std::int64_t records = 0;
  std::int64_t bad = 0;  ///< records that were left out
  std::string fingerprint;
  bool has_checks = false;  ///< whether its table has the members' check values
  TablePlace table;
};

struct ShardIndex {
  std::vector<ShardEntry> shards;
  std::string wanted;               ///< what records were chosen by, see describe(); empty: all
  std::vector<std::string> faults;  ///< of records that were left out; of many the first thousand

  std::int64_t records() const;
  std::int64_t bad() const;
  std::int64_t bytes() const;  ///< of the shards
};

/// What an index beside shards is called.
constexpr std::string_view index_name = "vlalign-index.json";

/// Writes an index as JSON, a list a column, and beside it, under a name that goes by its contents, the tables of all
/// shards. Shards below the file's folder are named relative to it. Whole or not at all; an index that stood there is
/// replaced, with its tables.
void write_index(const ShardIndex& index, const std::filesystem::path& file);

/// Whether a text is what write_index() writes.
bool is_index(const std::string& text);

/// Reads what write_index() wrote, at a path or a URL, from its text. Nothing where the text is no index. Throws Error
/// for one that is damaged.
std::optional<ShardIndex> parse_index(const std::string& text, const std::string& location);

/// A name without the folders before it.
std::string last_part(std::string_view name);

/// The packed table in a file, on this machine or another.
std::string read_table_file(const TablePlace& place);

/// A shard that an index names, see beside(). Throws Error for a command and, in an index of another machine, for a
/// path on this one: who reads an index doesn't trust it with that.
std::string shard_named_in(std::string_view location, std::string_view name);

/// What a name in a file stands for: a URL or an absolute path as it is, others relative to the file.
std::string beside(std::string_view location, std::string_view name);

}  // namespace vlalign
