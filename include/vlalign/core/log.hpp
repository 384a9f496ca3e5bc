#pragma once

#include <functional>
#include <string_view>

#include "vlalign/core/export.hpp"

namespace vlalign {

enum class LogLevel { info, warning };

/// Takes one message, a line or more without the last line's end. It is called where the message arises, on any thread
/// and on several at once. What it throws is dropped and the message goes to stderr: no message stops the work it is
/// about.
using LogHandler = std::function<void(LogLevel level, std::string_view message)>;

/// Messages go to `handler` from now on; to stderr, as "warning: ...", when it is empty and until this is called.
/// Stdout is the program's own: the library never writes there. The handler before may still be running on another
/// thread when this returns, and lives until it has ended.
VLALIGN_EXPORT void set_log_handler(LogHandler handler);

}  // namespace vlalign
