#include "data/sources/index_cache.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "core/io/cache_folder.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int format = 1;

/// The first line of a shard's file; what follows it is the packed table.
json head_of(const ShardEntry& shard, const std::vector<std::string>& faults, std::size_t table_bytes) {
  return {{"vlalign_shard", format},
          {"shard", shard.name},
          {"bytes", shard.version.bytes},
          {"version", shard.version.mark},
          {"records", shard.records},
          {"bad", shard.bad},
          {"faults", faults},
          {"fingerprint", shard.fingerprint},
          {"checked", shard.has_checks},
          {"table_bytes", table_bytes}};
}

ShardEntry entry_of(const json& head, const std::string& name, const fs::path& file, std::int64_t offset) {
  return {.name = name,
          .version = {head.at("bytes").get<std::int64_t>(), head.at("version").get<std::string>()},
          .records = head.at("records").get<std::int64_t>(),
          .bad = head.at("bad").get<std::int64_t>(),
          .fingerprint = head.at("fingerprint").get<std::string>(),
          .has_checks = head.at("checked").get<bool>(),
          .table = {.packed = nullptr,
                    .file = file.string(),
                    .offset = offset,
                    .size = head.at("table_bytes").get<std::int64_t>()}};
}

std::string first_line(const fs::path& file) {
  auto stream = open_text(file);
  std::string line;
  next_line(stream, line);
  return line;
}

}  // namespace

IndexCache::IndexCache(std::string wanted) : wanted_(std::move(wanted)) {
  if (const auto cache = cache_folder(); !cache.empty()) folder_ = cache / "shards";
}

fs::path IndexCache::file_of(const std::string& shard) const {
  const auto whole = is_remote(shard) ? shard : fs::absolute(shard).lexically_normal().string();
  const auto hash = Fingerprint().add(whole).add(wanted_).hex();
  return folder_ / hash.substr(0, 2) / (hash.substr(2) + ".records");
}

std::optional<IndexCache::Known> IndexCache::find(const std::string& shard, const ShardVersion& version,
                                                  bool contents) const {
  if (folder_.empty() || version.mark.empty()) return std::nullopt;
  const auto file = file_of(shard);
  std::error_code fault;
  if (!fs::is_regular_file(file, fault)) return std::nullopt;
  try {
    const auto line = first_line(file);
    const auto head = parse_json(line, file.string());
    if (head.value("vlalign_shard", 0) != format) return std::nullopt;
    auto entry = entry_of(head, shard, file, std::ssize(line) + 1);
    const bool whole = static_cast<std::int64_t>(fs::file_size(file)) == entry.table.offset + entry.table.size;
    if (!whole || entry.version != version || (contents && !entry.has_checks)) return std::nullopt;
    return Known{std::move(entry), head.at("faults").get<std::vector<std::string>>()};
  } catch (const std::exception&) {  // damaged
    return std::nullopt;
  }
}

ShardEntry IndexCache::keep(const std::string& shard, const ShardVersion& version, const IndexedShard& indexed) {
  auto packed = indexed.table.pack();
  ShardEntry entry{.name = shard,
                   .version = version,
                   .records = indexed.table.size(),
                   .bad = std::ssize(indexed.faults),
                   .fingerprint = indexed.fingerprint,
                   .has_checks = indexed.table.has_checks(),
                   .table = {}};
  if (!folder_.empty() && !version.mark.empty()) {
    try {
      const auto file = file_of(shard);
      const auto head = dump_readable(head_of(entry, indexed.faults, packed.size())) + "\n";
      fs::create_directories(file.parent_path());
      write_file_atomically(file, head + packed);
      entry.table = {.packed = nullptr, .file = file.string(), .offset = std::ssize(head), .size = std::ssize(packed)};
      return entry;
    } catch (const std::exception& error) {
      if (!warned_.exchange(true))
        log_warning("what is known of shards can't be kept for the next time: {}; XDG_CACHE_HOME names another folder",
                    error.what());
    }
  }
  entry.table.packed = std::make_shared<const std::string>(std::move(packed));
  return entry;
}

}  // namespace vlalign
