// Errors that tell where they are.
#pragma once

#include <string_view>

#include "core/foreign_errors.hpp"

namespace vlalign {

/// Whether a message begins with this place already, or with one in it.
inline bool names_place(std::string_view message, std::string_view where) {
  if (where.empty() || !message.starts_with(where)) return false;
  const auto behind = message.substr(where.size());
  return !behind.empty() && std::string_view(":./[").find(behind.front()) != std::string_view::npos;
}

/// What the function gives; "<where>: " comes before the message of an Error that doesn't name the place itself, and of
/// what other libraries throw.
template <typename Function>
auto naming(std::string_view where, Function function) {
  return without_foreign_errors(where, [&] {
    try {
      return function();
    } catch (const Error& error) {
      if (names_place(error.what(), where)) throw;
      fail("{}: {}", where, error.what());
    }
  });
}

}  // namespace vlalign
