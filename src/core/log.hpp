// Messages to the user: to stderr, or to whom set_log_handler named. Internal.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "vlalign/core/log.hpp"

namespace vlalign {

void write_log(LogLevel level, std::string_view message) noexcept;

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  write_log(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  write_log(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vlalign
