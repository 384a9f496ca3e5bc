#include "data/sources/shard_index.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int format = 1;
constexpr const char* format_key = "vlalign_index";
constexpr std::size_t most_faults = 1000;

template <typename Value, typename Take>
json column(const ShardIndex& index, Take take) {
  auto values = json::array();
  for (const auto& shard : index.shards) values.push_back(Value(take(shard)));
  return values;
}

/// As it is found from the index's folder.
std::string name_in(const fs::path& folder, const std::string& name) {
  if (is_remote(name) || is_pipe(name)) return name;
  const auto path = fs::absolute(name).lexically_normal();
  const auto relative = path.lexically_relative(folder);
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}

std::string packed_table(const ShardEntry& shard) {
  if (shard.table.packed) return *shard.table.packed;
  return shard.table.file.empty() ? std::string() : read_table_file(shard.table);
}

/// The tables' file of the index that stands at a path; empty where there is none.
fs::path tables_of(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return {};
  try {
    const auto all = parse_json(read_text(file), file.string());
    if (!all.is_object() || !all.contains(format_key)) return {};
    return file.parent_path() / all.value("tables", "");
  } catch (const Error&) {  // what isn't ours is refused elsewhere
    return {};
  }
}

class IndexReader {
 public:
  IndexReader(const json& all, const std::string& location) : all_(all), location_(location) {}

  ShardIndex read() const {
    ShardIndex index;
    const auto& names = column("shards");
    check(!names.empty(), "it names no shards");
    index.shards.resize(names.size());
    const auto tables = beside(location_, text("tables"));
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto& shard = index.shards[i];
      shard.name = shard_named_in(location_, names[i].get_ref<const std::string&>());
      shard.version = {number("bytes", i, -1), column("versions")[i].get<std::string>()};
      shard.records = number("records", i);
      shard.bad = number("bad", i);
      shard.fingerprint = column("fingerprints")[i].get<std::string>();
      shard.has_checks = all_.value("checked", false);
      const auto size = number("table_bytes", i);
      if (size > 0) shard.table = {.packed = nullptr, .file = tables, .offset = offset, .size = size};
      offset += size;
    }
    if (offset > 0) check_tables(tables, offset);
    index.wanted = text("wanted");
    index.faults = all_.value("faults", std::vector<std::string>{});
    return index;
  }

 private:
  /// Where the index was copied without them, or with another's.
  static void check_tables(const std::string& file, std::int64_t bytes) {
    constexpr auto advice = "copy it together with the index, or make the index again";
    std::int64_t size = -1;
    try {
      size = is_remote(file) ? RemoteFile(file).size() : InputFile(file).size();
    } catch (const Error& error) {
      fail("its tables can't be read: {}; {}", error.what(), advice);
    }
    check(size == bytes, "its tables, {}, have {} bytes, {} are expected; {}", file, size, bytes, advice);
  }

  const json& column(const char* key) const {
    const auto found = all_.find(key);
    check(found != all_.end() && found->is_array() && found->size() == all_.at("shards").size(),
          "expected \"{}\" to be a list with an entry a shard", key);
    return *found;
  }
  std::int64_t number(const char* key, std::size_t i, std::int64_t least = 0) const {
    const auto& value = column(key)[i];
    constexpr std::int64_t most = std::int64_t{1} << 60;
    const bool fits =
        value.is_number_integer() && value.get<std::int64_t>() >= least && value.get<std::int64_t>() <= most;
    check(fits, "expected whole numbers of {} or more in \"{}\"", least, key);
    return value.get<std::int64_t>();
  }
  std::string text(const char* key) const { return all_.at(key).get<std::string>(); }

  const json& all_;
  const std::string& location_;
};

}  // namespace

std::int64_t ShardIndex::records() const {
  return std::accumulate(shards.begin(), shards.end(), std::int64_t{0},
                         [](auto sum, const auto& shard) { return sum + shard.records; });
}

std::int64_t ShardIndex::bad() const {
  return std::accumulate(shards.begin(), shards.end(), std::int64_t{0},
                         [](auto sum, const auto& shard) { return sum + shard.bad; });
}

std::int64_t ShardIndex::bytes() const {
  return std::accumulate(shards.begin(), shards.end(), std::int64_t{0}, [](auto sum, const auto& shard) {
    return sum + std::max<std::int64_t>(0, shard.version.bytes);
  });
}

std::string beside(std::string_view location, std::string_view name) {
  if (is_remote(name) || is_pipe(name) || name.starts_with('/')) return std::string(name);
  const auto folder = location.substr(0, location.rfind('/') + 1);  // npos + 1 is 0
  return std::string(folder) + std::string(name);
}

std::string last_part(std::string_view name) { return std::string(name.substr(name.rfind('/') + 1)); }  // npos + 1 is 0

std::string shard_named_in(std::string_view location, std::string_view name) {
  check(!is_pipe(name), "\"{}\" is a command, and an index names files", name);
  check(!is_remote(location) || !name.starts_with('/'), "\"{}\" is a file of this machine, and the index is of another",
        name);
  return beside(location, name);
}

std::string read_table_file(const TablePlace& place) {
  const auto read = [&](const RandomAccess& file) {
    const auto bytes = file.read(place.offset, place.size);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  return is_remote(place.file) ? read(RemoteFile(place.file)) : read(InputFile(place.file));
}

void write_index(const ShardIndex& index, const fs::path& file) {
  const auto folder = fs::absolute(file).lexically_normal().parent_path();
  const auto old_tables = tables_of(file);
  Fingerprint print;
  for (const auto& shard : index.shards) print.add(shard.fingerprint).add(shard.records).add(shard.has_checks ? 1 : 0);
  const auto tables = file.stem().string() + "." + print.hex().substr(0, 8) + ".tables";
  auto sizes = json::array();
  write_file_atomically(folder / tables, [&](const auto& put) {
    for (const auto& shard : index.shards) {
      const auto packed = packed_table(shard);
      sizes.push_back(packed.size());
      put(packed);
    }
  });
  const auto& shards = index.shards;
  const bool checked = std::all_of(shards.begin(), shards.end(), [](const auto& shard) { return shard.has_checks; });
  const json all{
      {format_key, format},
      {"wanted", index.wanted},
      {"checked", checked},
      {"tables", tables},
      {"shards", column<std::string>(index, [&](const auto& shard) { return name_in(folder, shard.name); })},
      {"bytes", column<std::int64_t>(index, [](const auto& shard) { return shard.version.bytes; })},
      {"versions", column<std::string>(index, [](const auto& shard) { return shard.version.mark; })},
      {"records", column<std::int64_t>(index, [](const auto& shard) { return shard.records; })},
      {"bad", column<std::int64_t>(index, [](const auto& shard) { return shard.bad; })},
      {"fingerprints", column<std::string>(index, [](const auto& shard) { return shard.fingerprint; })},
      {"table_bytes", sizes},
      {"faults", std::vector(index.faults.begin(),
                             index.faults.begin() + std::ssize(index.faults) -
                                 std::max<std::ptrdiff_t>(
                                     0, std::ssize(index.faults) - static_cast<std::ptrdiff_t>(most_faults)))}};
  write_file_atomically(file, dump_readable(all) + "\n");
  std::error_code ignored;
  if (!old_tables.empty() && old_tables.filename() != tables && old_tables.extension() == ".tables")
    fs::remove(old_tables, ignored);
}

bool is_index(const std::string& text) {
  const auto all = parse_json(text, "index");
  return all.is_object() && all.contains(format_key);
}

std::optional<ShardIndex> parse_index(const std::string& text, const std::string& location) {
  const auto all = parse_json(text, location);
  if (!all.is_object() || !all.contains(format_key)) return std::nullopt;
  return naming(location, [&] {
    check(all[format_key] == format, "is an index of another version of vlalign: make it again with vlalign index");
    check(all.contains("shards") && all["shards"].is_array(), "expected \"shards\" to be a list of names");
    return std::optional(IndexReader(all, location).read());
  });
}

}  // namespace vlalign
