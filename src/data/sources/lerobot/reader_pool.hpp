// Open files that several threads read from, one thread a file at a time.
#pragma once

#include <algorithm>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>

namespace vlalign {

/// Keeps the readers used last, so that reading on where one stopped is fast. A Reader is made of a path.
template <typename Reader>
class ReaderPool {
 public:
  explicit ReaderPool(std::size_t most) : most_(most) {}

  /// What the function gives for a reader of this file. The reader is dropped when the function throws.
  template <typename Function>
  auto use(const std::filesystem::path& path, Function function) {
    auto reader = take(path);
    auto result = function(*reader);
    give_back(path, std::move(reader));
    return result;
  }

 private:
  std::unique_ptr<Reader> take(const std::filesystem::path& path) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(idle_.begin(), idle_.end(), [&](const auto& one) { return one.first == path; });
      if (found != idle_.end()) {
        auto reader = std::move(found->second);
        idle_.erase(found);
        return reader;
      }
    }
    return std::make_unique<Reader>(path);
  }

  void give_back(const std::filesystem::path& path, std::unique_ptr<Reader> reader) {
    std::unique_ptr<Reader> oldest;  // closed outside the lock
    const std::lock_guard lock(mutex_);
    idle_.emplace_front(path, std::move(reader));
    if (idle_.size() <= most_) return;
    oldest = std::move(idle_.back().second);
    idle_.pop_back();
  }

  std::size_t most_;
  std::mutex mutex_;
  std::deque<std::pair<std::filesystem::path, std::unique_ptr<Reader>>> idle_;  // the one used last in front
};

}  // namespace vlalign
