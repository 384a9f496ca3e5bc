#pragma once

#include <fnmatch.h>

#include <string>

namespace vlalign {

/// Whether a name fits a glob pattern: * stands for any characters (dots too), ? for one, [ab] for one of these.
inline bool fits(const std::string& name, const std::string& pattern) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

}  // namespace vlalign
