#include "data/sources/open_shards.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "data/sources/index_shard.hpp"
#include "remote/remote_file.hpp"
#include "remote/remote_options.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_table_bytes = std::int64_t{256} << 20;
constexpr std::int64_t most_open_files = 64;
constexpr std::chrono::seconds fault_kept(30);
constexpr std::int64_t bytes_a_record = 170;  // of a table: a row, its key and what holds them

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
  const auto packed = one.table.packed ? *one.table.packed : read_table_file(one.table);
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

ShardBytes OpenShards::bytes(std::int64_t shard) { return {open_file(shard), table(shard)->has_checks()}; }

/// One that is read by ranges isn't kept: the next time there may be a copy.
FileRange OpenShards::open_file(std::int64_t shard) {
  const bool remote = is_remote(entry(shard).name);
  if (const auto kept = open_.find(shard)) {
    if (remote) count_cache(true);
    return *kept;
  }
  check_no_fault(shard);
  const auto& one = entry(shard);
  auto file = [&] {
    try {
      return files_->open(one.name);
    } catch (const Error& error) {
      note_fault(shard, error);
      throw;
    }
  }();
  const bool by_ranges = dynamic_cast<const RemoteFile*>(file.file.get()) != nullptr;
  if (by_ranges && !one.version.mark.empty())
    check(file.size == one.version.bytes, "{}: has changed since it was indexed: it had {} bytes then, {} now",
          one.name, one.version.bytes, file.size);
  if (remote) count_cache(!by_ranges);
  if (!by_ranges) return open_.keep(shard, std::move(file), 1);
  file.file = std::make_shared<const FileReadAhead>(std::move(file.file), ahead_);
  return file;
}

/// Its members mostly lie side by side: then they are one range.
void OpenShards::read_ahead(std::int64_t shard, std::int64_t row) {
  constexpr std::int64_t largest_gap = 1 << 16;
  const auto& one = entry(shard);
  if (!is_remote(one.name) || !one.table.is_known() || open_.find(shard)) return;
  const auto file = open_file(shard).file;
  const auto* remote = dynamic_cast<const FileReadAhead*>(file.get());
  const auto rows = table(shard);
  if (remote == nullptr || row >= rows->size()) return;
  const auto members = rows->row(row);
  std::vector<ShardMember> all{members.picture, members.txt, members.json};
  std::erase_if(all, [](const auto& member) { return !member.is_there(); });
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (std::size_t i = 0; i < all.size();) {
    const auto begin = all[i].offset;
    auto end = begin + all[i].size;
    for (++i; i < all.size() && all[i].offset - end < largest_gap; ++i)
      end = std::max(end, all[i].offset + all[i].size);
    remote->want(begin, end - begin);
  }
}

ShardBytes OpenShards::bytes_of_all(std::int64_t shard) {
  files_->note_no_ranges(entry(shard).name);
  return bytes(shard);
}

void OpenShards::note_fault(std::int64_t shard, const Error& error) {
  if (!is_remote(entry(shard).name)) return;  // to ask again costs nothing
  const std::lock_guard lock(faults_mutex_);
  faults_[shard] = {error.what(), std::chrono::steady_clock::now() + fault_kept};
}

void OpenShards::check_no_fault(std::int64_t shard) {
  const std::lock_guard lock(faults_mutex_);
  const auto found = faults_.find(shard);
  if (found == faults_.end()) return;
  if (std::chrono::steady_clock::now() < found->second.until) throw Error(found->second.what);
  faults_.erase(found);
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
