#include "remote/curl_handles.hpp"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

void initialize_curl() {
  static const auto result = curl_global_init(CURL_GLOBAL_DEFAULT);
  check(result == CURLE_OK, "libcurl cannot start: {}", curl_easy_strerror(result));
}

/// Idle handles, the ones used last at the end.
class Pool {
 public:
  std::unique_ptr<CurlHandles> take(const std::string& host) {
    const std::lock_guard lock(mutex_);
    forget_after_fork();
    const auto last = std::find_if(idle_.rbegin(), idle_.rend(), [&](const auto& one) { return one.first == host; });
    if (last == idle_.rend()) return nullptr;
    auto handles = std::move(last->second);
    idle_.erase(std::next(last).base());
    return handles;
  }

  void give_back(const std::string& host, std::unique_ptr<CurlHandles> handles) {
    std::unique_ptr<CurlHandles> surplus;  // closed without the lock
    const std::lock_guard lock(mutex_);
    forget_after_fork();
    idle_.emplace_back(host, std::move(handles));
    if (idle_.size() <= most_idle) return;
    surplus = std::move(idle_.front().second);
    idle_.pop_front();
  }

 private:
  /// A connection can't be shared with the process that this one was forked from.
  void forget_after_fork() {
    if (process_ == ::getpid()) return;
    process_ = ::getpid();
    for (auto& [host, handles] : idle_) static_cast<void>(handles.release());
    idle_.clear();
  }

  static constexpr std::size_t most_idle = 64;
  std::mutex mutex_;
  pid_t process_ = ::getpid();
  std::deque<std::pair<std::string, std::unique_ptr<CurlHandles>>> idle_;
};

/// Never destroyed: threads may read to the end.
Pool& the_pool() {
  static auto& pool = *new Pool;
  return pool;
}

/// Scheme, host and port.
std::string host_of(const std::string& url) {
  const auto scheme = url.find("://");
  return url.substr(0, url.find_first_of("/?#", scheme == url.npos ? 0 : scheme + 3));
}

}  // namespace

CurlHandles::CurlHandles() {
  initialize_curl();
  multi = curl_multi_init();
  easy = curl_easy_init();
  if (multi && easy) return;
  if (easy) curl_easy_cleanup(easy);
  if (multi) curl_multi_cleanup(multi);
  fail("libcurl gives no handle: not enough memory");
}

CurlHandles::~CurlHandles() {
  curl_easy_cleanup(easy);
  curl_multi_cleanup(multi);
}

LeasedHandles::LeasedHandles(const std::string& url) : host_(host_of(url)), handles_(the_pool().take(host_)) {
  if (!handles_) handles_ = std::make_unique<CurlHandles>();
}

LeasedHandles::~LeasedHandles() {
  curl_multi_remove_handle(multi(), easy());  // closes what is under way
  if (discarded_) return;
  curl_easy_reset(easy());
  the_pool().give_back(host_, std::move(handles_));
}

}  // namespace vlalign
