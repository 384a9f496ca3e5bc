#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "vlalign/core/log.hpp"

namespace vlalign::test {

/// What the library logs while this lives, a line "level: message" for each.
class Logged {
 public:
  Logged() {
    set_log_handler([this](LogLevel level, std::string_view message) {
      const std::lock_guard lock(mutex_);
      text_ += level == LogLevel::warning ? "warning: " : "info: ";
      text_ += message;
      text_ += "\n";
    });
  }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;
  ~Logged() { set_log_handler({}); }

  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

  /// How often it says so.
  int count(std::string_view what) const {
    int times = 0;
    const auto text = this->text();
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++times;
    return times;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

}  // namespace vlalign::test
