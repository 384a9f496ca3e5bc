// Copies of remote files on a disk of this machine. Internal.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/io/input_file.hpp"
#include "remote/cache_folder.hpp"
#include "remote/remote_object.hpp"

namespace vlalign {

struct CacheOptions {
  std::filesystem::path folder;
  std::int64_t most_bytes = std::int64_t{100} << 30;  ///< of all copies, those of other processes included
  int downloads = 4;                                  ///< at once, beforehand
};

struct CacheCounts {
  std::int64_t hits = 0, misses = 0;  ///< of open() and fetch()
  std::int64_t bytes = 0;             ///< that were written into copies
};

/// Several processes of a host may share the folder: no two download the same file at a time, and all keep to one
/// limit. Files that are read while others make room keep their contents. What a url stands for is asked once and kept.
class RemoteCache {
 public:
  explicit RemoteCache(const CacheOptions& options);
  RemoteCache(const RemoteCache&) = delete;
  RemoteCache& operator=(const RemoteCache&) = delete;
  /// Stops what is under way; the next one goes on from there.
  ~RemoteCache();

  /// The copy where it is whole, else the remote file itself; waits for no download.
  std::shared_ptr<const RandomAccess> open(const std::string& url);

  /// The copy, once it is whole: made here, or by who is at it. The remote file itself when there is no room or the
  /// folder can't be written any more.
  std::shared_ptr<const RandomAccess> fetch(const std::string& url);

  /// Downloads these in the background, the first one first, in place of what the last call named and isn't begun yet.
  /// Copies of these are the last to make room; a file never takes the room of one that is named before it, so a list
  /// longer than the cache is begun, and goes on when the next call names what is needed then.
  void prefetch(const std::vector<std::string>& urls);

  CacheCounts counts() const { return {hits_, misses_, bytes_}; }

 private:
  struct Known;
  struct Task {
    std::string url;
    std::int64_t place = 0, list = 0;
  };

  RemoteObject find(const std::string& url, const std::stop_token& stop = {});
  CacheClaim claim(const RemoteObject& object, std::int64_t place);
  CacheState make_copy(CacheClaim claim, const RemoteObject& object, std::int64_t place, const std::stop_token& stop);
  void fill(const CacheClaim& claim, const RemoteObject& object, std::int64_t place, const std::stop_token& stop);
  std::shared_ptr<const CacheNeeds> needs() const;
  void work(const std::stop_token& stop);
  void do_task(std::string& url, const std::stop_token& stop);
  std::optional<Task> next_task(const std::stop_token& stop);
  void put_off(const Task& task);
  void give_up_list(std::int64_t list);
  std::string lack_of_room() const;
  void warn_once(const std::string& url, const std::string& reason);
  bool is_news(const std::string& url);

  CacheFolder folder_;
  std::int64_t most_bytes_;
  int downloads_;
  std::atomic<std::int64_t> hits_ = 0, misses_ = 0, bytes_ = 0;
  std::atomic<bool> warned_ = false;

  std::mutex claiming_;  ///< taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, std::shared_ptr<Known>> known_;
  std::shared_ptr<const CacheNeeds> needs_ = std::make_shared<const CacheNeeds>();
  std::deque<Task> tasks_;
  std::int64_t list_ = 0;
  std::set<std::string> told_;
  std::vector<std::jthread> threads_;
};

}  // namespace vlalign
