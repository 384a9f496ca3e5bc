// Errors that tell where they are.
#pragma once

#include <string_view>

#include "core/foreign_errors.hpp"

namespace vlalign {

/// What the function gives; "<where>: " comes before the message of an Error, and of what other libraries throw.
template <typename Function>
auto naming(std::string_view where, Function function) {
  return without_foreign_errors(where, [&] {
    try {
      return function();
    } catch (const Error& error) {
      fail("{}: {}", where, error.what());
    }
  });
}

}  // namespace vlalign
