// Whether there is a file or folder, in the library's own errors.
#pragma once

#include <filesystem>

#include "check.hpp"

namespace vlalign {

/// False where there is nothing; throws Error naming the path where that can't be known.
inline bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  const bool there = std::filesystem::exists(path, error);
  check(!error, "{}: cannot look for it: {}", path.string(), error.message());
  return there;
}

inline bool is_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return is_there(path) && std::filesystem::is_directory(path, ignored);
}

}  // namespace vlalign
