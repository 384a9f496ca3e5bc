#include "core/io/cache_folder.hpp"

#include <cstdlib>

namespace vlalign {

std::filesystem::path cache_folder() {
  const auto folder = [](const char* variable) -> std::filesystem::path {
    const char* value = std::getenv(variable);
    const bool absolute = value != nullptr && value[0] == '/';  // others are to be ignored
    return absolute ? value : "";
  };
  if (const auto cache = folder("XDG_CACHE_HOME"); !cache.empty()) return cache / "vlalign";
  if (const auto home = folder("HOME"); !home.empty()) return home / ".cache" / "vlalign";
  return {};
}

}  // namespace vlalign
