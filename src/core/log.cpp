#include "core/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <memory>
#include <mutex>

namespace vlalign {
namespace {

struct Log {
  std::mutex mutex;
  std::shared_ptr<const LogHandler> handler;  // null: stderr
  /// Not spdlog's default logger, which is the program's.
  spdlog::logger to_stderr{"vlalign", std::make_shared<spdlog::sinks::stderr_color_sink_mt>()};

  Log() { to_stderr.set_pattern("%^%l%$: %v"); }

  std::shared_ptr<const LogHandler> chosen() {
    const std::lock_guard lock(mutex);
    return handler;
  }
};

/// Never destroyed: threads may have something to say to the end.
Log& the_log() {
  static auto& log = *new Log;
  return log;
}

void write_to_stderr(LogLevel level, std::string_view message) {
  const auto as = level == LogLevel::info ? spdlog::level::info : spdlog::level::warn;
  the_log().to_stderr.log(as, spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace

void set_log_handler(LogHandler wanted) {
  auto shared = wanted ? std::make_shared<const LogHandler>(std::move(wanted)) : nullptr;
  const std::lock_guard lock(the_log().mutex);
  the_log().handler.swap(shared);
}

void write_log(LogLevel level, std::string_view message) noexcept {
  try {
    // Called without the lock: a handler may call the library, and wait for a thread that does.
    if (const auto handler = the_log().chosen()) return (*handler)(level, message);
  } catch (...) {
  }
  try {
    write_to_stderr(level, message);
  } catch (...) {  // no memory, or no stderr
  }
}

}  // namespace vlalign
