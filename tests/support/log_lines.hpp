#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/log.hpp"

namespace vlalign::test {

/// What is logged while this lives, in place of stderr.
class LogLines {
 public:
  LogLines() {
    set_log_handler([this](LogLevel, std::string_view message) { lines_.emplace_back(message); });
  }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  ~LogLines() { set_log_handler({}); }

  bool has(std::string_view part) const {
    return std::any_of(lines_.begin(), lines_.end(), [&](const auto& line) { return line.find(part) != line.npos; });
  }
  const std::vector<std::string>& all() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

}  // namespace vlalign::test
