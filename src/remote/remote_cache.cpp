#include "remote/remote_cache.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"
#include "remote/patience.hpp"
#include "remote/remote_error.hpp"
#include "remote/remote_file.hpp"
#include "remote/remote_options.hpp"

namespace vlalign {
namespace {

constexpr double wait_for_others_s = 0.05;

/// The disk is full, and nothing of ours can be removed.
struct NoRoom {};

bool is_lack_of_room(int fault) { return fault == ENOSPC || fault == EDQUOT || fault == EFBIG; }

}  // namespace

/// What a url stands for, once somebody has asked.
struct RemoteCache::Known {
  std::mutex asking;
  std::optional<RemoteObject> object;
};

RemoteCache::RemoteCache(const CacheOptions& options)
    : folder_(options.folder, options.most_bytes), most_bytes_(options.most_bytes), downloads_(options.downloads) {
  check(most_bytes_ >= 0, "the cache of remote files: most_bytes {} should be at least 0", most_bytes_);
  check(downloads_ > 0, "the cache of remote files: downloads {} should be above 0", downloads_);
}

RemoteCache::~RemoteCache() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

RemoteObject RemoteCache::find(const std::string& url, const std::stop_token& stop) {
  std::shared_ptr<Known> known;
  {
    const std::lock_guard lock(mutex_);
    auto& place = known_[url];
    if (!place) place = std::make_shared<Known>();
    known = place;
  }
  const std::lock_guard lock(known->asking);
  if (!known->object) known->object = find_remote(url, stop);
  return *known->object;
}

std::shared_ptr<const RandomAccess> RemoteCache::open(const std::string& url) {
  const auto object = find(url);
  if (auto copy = folder_.open(object)) {
    ++hits_;
    return copy;
  }
  ++misses_;
  return std::make_shared<const RemoteFile>(object);
}

std::shared_ptr<const RandomAccess> RemoteCache::fetch(const std::string& url) {
  const auto object = find(url);
  auto copy = folder_.open(object);
  ++(copy ? hits_ : misses_);
  while (!copy) {
    const auto state = make_copy(claim(object, needed_now), object, needed_now, {});
    if (state == CacheState::full || state == CacheState::no_room) {
      warn_once(url, lack_of_room());
      return std::make_shared<const RemoteFile>(object);
    }
    if (state == CacheState::busy) sleep_for(wait_for_others_s, {});
    copy = folder_.open(object);
  }
  return copy;
}

CacheClaim RemoteCache::claim(const RemoteObject& object, std::int64_t place) {
  try {
    return folder_.claim(object, *needs(), place);
  } catch (const CacheFault& fault) {
    warn_once(object.location, fault.what());
    return {CacheState::no_room};
  }
}

/// Makes the copy if it was claimed. Whole when it is there now, and whoever made it.
CacheState RemoteCache::make_copy(CacheClaim claim, const RemoteObject& object, std::int64_t place,
                                  const std::stop_token& stop) {
  if (claim.state != CacheState::claimed) return claim.state;
  try {
    fill(claim, object, place, stop);
    folder_.finish(object, std::move(claim));
    return CacheState::whole;
  } catch (const CacheFault& fault) {
    warn_once(object.location, fault.what());
    return CacheState::no_room;
  } catch (const NoRoom&) {
    CacheFolder::drop(std::move(claim));
    return CacheState::no_room;
  }
}

void RemoteCache::fill(const CacheClaim& claim, const RemoteObject& object, std::int64_t place,
                       const std::stop_token& stop) {
  auto at = claim.begin;
  transfer_rest(
      object, at,
      [&](std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
          const auto written = ::pwrite(claim.file.get(), bytes.data(), bytes.size(), at);
          if (written < 0 && errno == EINTR) continue;
          if (written < 0 && is_lack_of_room(errno)) {
            if (errno == EFBIG || !folder_.remove_one(*needs(), place, claim.partial)) throw NoRoom();
            continue;
          }
          if (written < 0)
            throw CacheFault(fmt::format("{}: cannot write: {}", claim.partial.string(), std::strerror(errno)));
          bytes = bytes.subspan(static_cast<std::size_t>(written));
          at += written;
          bytes_ += written;
        }
      },
      stop);
}

std::string RemoteCache::lack_of_room() const {
  return fmt::format("there is no room for it, of {} MB at most or on the disk; give it more", most_bytes_ >> 20);
}

void RemoteCache::warn_once(const std::string& url, const std::string& reason) {
  if (warned_.exchange(true)) return;
  log_warning(
      "{}: no copy is made in the cache of remote files: {}; such files are read over the network each time, which is "
      "slow",
      url, reason);
}

/// Whether nobody was told of this url.
bool RemoteCache::is_news(const std::string& url) {
  const std::lock_guard lock(mutex_);
  return told_.insert(url).second;
}

std::shared_ptr<const CacheNeeds> RemoteCache::needs() const {
  const std::lock_guard lock(mutex_);
  return needs_;
}

void RemoteCache::prefetch(const std::vector<std::string>& urls) {
  auto needs = std::make_shared<CacheNeeds>();
  std::deque<Task> tasks;
  const std::lock_guard lock(mutex_);
  ++list_;
  for (const auto& url : urls) {
    const auto place = static_cast<std::int64_t>(tasks.size());
    if (needs->try_emplace(CacheFolder::url_hash(url), place).second) tasks.push_back({url, place, list_});
  }
  needs_ = std::move(needs);
  tasks_ = std::move(tasks);
  while (!tasks_.empty() && std::ssize(threads_) < downloads_)
    threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  changed_.notify_all();
}

std::optional<RemoteCache::Task> RemoteCache::next_task(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait(lock, stop, [&] { return !tasks_.empty(); })) return std::nullopt;
  auto task = std::move(tasks_.front());
  tasks_.pop_front();
  return task;
}

/// Somebody else is at it, who may die before it is whole.
void RemoteCache::put_off(const Task& task) {
  const std::lock_guard lock(mutex_);
  if (task.list == list_) tasks_.push_back(task);
}

/// What comes later in the list finds no room either.
void RemoteCache::give_up_list(std::int64_t list) {
  const std::lock_guard lock(mutex_);
  if (list == list_) tasks_.clear();
}

/// Claims are made in the order of the list, so that nothing takes the room of what is needed sooner.
void RemoteCache::do_task(std::string& url, const std::stop_token& stop) {
  std::unique_lock in_order(claiming_);
  const auto task = next_task(stop);
  if (!task) return;
  url = task->url;
  const auto object = find(url, stop);
  auto claimed = claim(object, task->place);
  if (claimed.state == CacheState::full) give_up_list(task->list);
  in_order.unlock();
  const auto state = make_copy(std::move(claimed), object, task->place, stop);
  if (state == CacheState::no_room) warn_once(url, lack_of_room());
  if (state != CacheState::busy) return;
  put_off(*task);
  sleep_for(wait_for_others_s, stop);
}

void RemoteCache::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::string url;
    try {
      do_task(url, stop);
    } catch (const StoppedTransfer&) {
      return;
    } catch (const std::exception& error) {
      if (is_news(url)) log_warning("no copy was made of a remote file: {}", error.what());
    }
  }
}

}  // namespace vlalign
