#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/log.hpp"

namespace vlalign::test {

/// What the library says while this lives, in place of stderr.
class CapturedLog {
 public:
  struct Message {
    LogLevel level;
    std::string text;
  };

  CapturedLog() {
    set_log_handler([this](LogLevel level, std::string_view text) {
      const std::lock_guard lock(mutex_);
      messages_.push_back({level, std::string(text)});
    });
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() { set_log_handler({}); }

  std::vector<Message> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

  /// All of it, a line a message.
  std::string text() const {
    std::string all;
    for (const auto& message : messages()) all += message.text + "\n";
    return all;
  }

  std::size_t warnings() const {
    const auto all = messages();
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& m) { return m.level == LogLevel::warning; }));
  }

  /// How many of them say so.
  std::int64_t count(std::string_view what) const {
    const auto all = messages();
    return std::count_if(all.begin(), all.end(), [&](const auto& m) { return m.text.find(what) != m.text.npos; });
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    messages_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Message> messages_;
};

}  // namespace vlalign::test
