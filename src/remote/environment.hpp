// Environment variables. Internal.
#pragma once

#include <cstdlib>
#include <string>

namespace vlalign {

/// Empty where it isn't set.
inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace vlalign
