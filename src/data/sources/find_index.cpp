#include "data/sources/find_index.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "data/sources/foreign_index.hpp"
#include "data/sources/index_cache.hpp"
#include "remote/download.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t told_from = std::int64_t{256} << 20;  // bytes: reading fewer takes a moment

/// img2dataset's, on this machine.
fs::path parquet_beside(const std::string& shard) {
  if (is_remote(shard) || is_pipe(shard)) return {};
  const auto path = fs::path(shard).replace_extension(".parquet");
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? path : fs::path();
}

/// The index that stands beside all shards, by their names.
std::unordered_map<std::string, ShardEntry> index_beside(const std::vector<std::string>& names, std::string_view wanted,
                                                         std::vector<std::string>& faults) {
  constexpr std::int64_t most_bytes = std::int64_t{1} << 30;
  std::unordered_map<std::string, ShardEntry> known;
  const auto file = beside(names.front(), index_name);
  if (is_pipe(names.front()) || file == names.front()) return known;
  try {
    std::error_code ignored;
    std::optional<std::string> text;
    if (is_remote(file)) text = read_remote_if_there(file, most_bytes);
    if (!is_remote(file) && fs::is_regular_file(file, ignored)) text = read_text(file);
    auto index = text ? parse_index(*text, file) : std::nullopt;
    if (index && index->wanted != wanted)
      log_info("{}: is an index of {}, so all shards are read for this choice; vlalign index makes one of it", file,
               index->wanted.empty() ? "all records" : "another choice");
    if (!index || index->wanted != wanted) return known;
    if (index->shards.size() == names.size()) faults = std::move(index->faults);  // else some are others'
    for (auto& shard : index->shards) known.emplace(shard.name, std::move(shard));
  } catch (const RemoteError& error) {
    if (error.status() == 0) throw;  // nobody answers
    log_warning("{}; the index is not used", error.what());
  } catch (const Error& error) {
    log_warning("{}; the index is not used", error.what());
  }
  return known;
}

class Indexer {
 public:
  Indexer(const std::vector<std::string>& names, ShardFiles& files, const ShardWanted& wanted,
          const IndexProgress& progress)
      : names_(names), files_(files), wanted_(wanted), progress_(progress), cache_(describe(wanted)) {
    index_.shards.resize(names.size());
    faults_.resize(names.size());
  }

  ShardIndex run() {
    auto beside_all = index_beside(names_, describe(wanted_), faults_beside_);
    std::vector<std::size_t> unknown;
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (!take_from(beside_all, i)) unknown.push_back(i);
    if (unknown.size() == names_.size() && take_foreign_counts()) unknown.clear();
    if (unknown.size() < names_.size()) index_.faults = std::move(faults_beside_);
    read(unknown);
    for (auto& faults : faults_) std::move(faults.begin(), faults.end(), std::back_inserter(index_.faults));
    index_.wanted = describe(wanted_);
    return std::move(index_);
  }

 private:
  bool take_from(std::unordered_map<std::string, ShardEntry>& known, std::size_t i) {
    const auto found = known.find(names_[i]);
    if (found == known.end() || (wanted_.contents && !found->second.has_checks)) return false;
    auto& entry = found->second;
    if (!is_remote(names_[i]) || wanted_.contents) {
      const auto now = files_.version(names_[i]);
      const bool same_bytes = now.bytes == entry.version.bytes, same_mark = now.mark == entry.version.mark;
      if (!same_bytes) log_warning("{}: has changed since it was indexed and is read again", names_[i]);
      // A copy of a shard has another time, and its bytes are compared with the check values when they are read.
      if (!same_bytes || (!same_mark && (wanted_.contents || !entry.has_checks))) return false;
    }
    index_.shards[i] = entry;
    return true;
  }

  bool take_foreign_counts() {
    if (wanted_.contents || !describe(wanted_).empty()) return false;
    const auto counts = counts_beside(names_);
    if (!counts) return false;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      index_.shards[i].name = names_[i];
      index_.shards[i].records = (*counts)[i];
    }
    return true;
  }

  void read(const std::vector<std::size_t>& unknown) {
    if (unknown.empty()) return;
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
      for (auto i = next++; i < unknown.size(); i = next++) {
        try {
          read_one(unknown[i], unknown.size());
        } catch (...) {
          const std::lock_guard lock(mutex_);
          if (!failure_) failure_ = std::current_exception();
          next = unknown.size();
        }
      }
    };
    const auto count = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, unknown.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < count; ++i) threads.emplace_back(work);
    work();
    for (auto& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

  void read_one(std::size_t i, std::size_t of) {
    const auto& name = names_[i];
    const auto version = files_.version(name);
    auto known = cache_.find(name, version, wanted_.contents);
    if (!known) {
      tell(version, of);
      const auto indexed = index_shard(files_.fetch(name), wanted_, parquet_beside(name));
      known = {cache_.keep(name, version, indexed), indexed.faults};
      bytes_ += std::max<std::int64_t>(0, version.bytes);
    }
    index_.shards[i] = std::move(known->entry);
    faults_[i] = std::move(known->faults);
    const std::lock_guard lock(mutex_);
    if (progress_) progress_(++done_, static_cast<std::int64_t>(of), bytes_);
  }

  /// Once, before what may take long.
  void tell(const ShardVersion& version, std::size_t of) {
    const auto bytes = version.bytes * static_cast<std::int64_t>(of);
    if (progress_ || bytes < told_from || told_.exchange(true)) return;
    log_info("{}: reading {} shard(s), about {:.1f} GB, once, to know their records", names_.front(), of,
             static_cast<double>(bytes) / 1e9);
  }

  const std::vector<std::string>& names_;
  ShardFiles& files_;
  const ShardWanted& wanted_;
  const IndexProgress& progress_;
  IndexCache cache_;
  ShardIndex index_;
  std::vector<std::vector<std::string>> faults_;  // of each shard
  std::vector<std::string> faults_beside_;
  std::atomic<std::int64_t> bytes_ = 0;
  std::atomic<bool> told_ = false;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::int64_t done_ = 0;
};

}  // namespace

std::string describe(const ShardWanted& wanted) {
  std::string text;
  if (wanted.filter) text += "where " + wanted.filter->text() + "; ";
  for (const auto& key : wanted.keys) text += fmt::format("caption {} {}; ", key.key, key.probability);
  return text;
}

ShardIndex index_shards(const std::vector<std::string>& names, ShardFiles& files, const ShardWanted& wanted,
                        const IndexProgress& progress) {
  return Indexer(names, files, wanted, progress).run();
}

}  // namespace vlalign
