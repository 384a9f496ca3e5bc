// Throwing checks with a formatted message. Internal: fmt never appears in a public header.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "vlalign/core/error.hpp"

static_assert(FMT_VERSION >= 90000 && FMT_VERSION < 120000,
              "the system's fmt is expected here, not the copy inside LibTorch's include folder");

namespace vlalign {

/// fail("[load] {}: no such file", path) throws Error with the formatted message.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

/// Like fail, unless the condition holds.
template <typename... Args>
void check(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw Error(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vlalign
