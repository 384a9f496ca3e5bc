#include "data/sources/open_shards.hpp"

#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "data/sources/index_shard.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_table_bytes = std::int64_t{256} << 20;
constexpr std::int64_t most_open_files = 64;
constexpr std::int64_t bytes_a_record = 170;  // of a table: a row, its key and what holds them

std::string packed_bytes(const TablePlace& place) {
  if (place.packed) return *place.packed;
  const auto read = [&](const RandomAccess& file) {
    const auto bytes = file.read(place.offset, place.size);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  return is_remote(place.file) ? read(RemoteFile(place.file)) : read(InputFile(place.file));
}

}  // namespace

OpenShards::OpenShards(std::vector<ShardEntry> shards, std::shared_ptr<ShardFiles> files)
    : shards_(std::move(shards)), files_(std::move(files)), tables_(most_table_bytes), open_(most_open_files) {}

std::shared_ptr<const ShardTable> OpenShards::table(std::int64_t shard) {
  auto known = tables_.find(shard);
  if (!known) {
    auto reading = std::async(std::launch::deferred, [this, shard] { return read_table(shard); }).share();
    known = tables_.keep(shard, std::move(reading), std::max<std::int64_t>(1, entry(shard).records) * bytes_a_record);
  }
  return known->get();  // read by the first who waits
}

std::shared_ptr<const ShardTable> OpenShards::read_table(std::int64_t shard) {
  const auto& one = entry(shard);
  if (!one.table.is_known()) return listed(one);
  const auto packed = packed_bytes(one.table);
  auto table = std::make_shared<const ShardTable>(
      ShardTable::unpack(packed, one.table.file.empty() ? one.name : one.table.file));
  check(table->size() == one.records, "{}: its table has {} records, the index says {}", one.name, table->size(),
        one.records);
  return table;
}

/// Of a shard whose records were but counted.
std::shared_ptr<const ShardTable> OpenShards::listed(const ShardEntry& entry) {
  auto table = std::make_shared<const ShardTable>(list_shard(files_->fetch(entry.name)));
  if (table->size() > entry.records)
    log_warning("{}: has {} records, of which the {} that the index beside it counts are used", entry.name,
                table->size(), entry.records);
  return table;
}

ShardBytes OpenShards::bytes(std::int64_t shard) {
  const auto& one = entry(shard);
  auto file = open_.find(shard);
  if (!file) {
    auto opened = files_->open(one.name);
    const bool plain = !one.version.mark.empty() && one.name.ends_with(".tar");
    check(!plain || opened.size == one.version.bytes || !is_remote(one.name),
          "{}: has changed since it was indexed: it had {} bytes then, {} now", one.name, one.version.bytes,
          opened.size);
    file = open_.keep(shard, std::move(opened), 1);
  }
  return {*file, table(shard)->has_checks()};
}

std::optional<ShardBytes> OpenShards::bytes_anew(std::int64_t shard) {
  open_.forget(shard);
  auto file = files_->open_anew(entry(shard).name);
  if (!file) return std::nullopt;
  return ShardBytes{std::move(*file), table(shard)->has_checks()};
}

void OpenShards::expect(std::span<const std::int64_t> shards) {
  std::vector<std::string> names;
  for (const auto shard : shards) names.push_back(entry(shard).name);
  files_->expect(names);
}

}  // namespace vlalign
