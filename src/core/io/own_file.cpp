#include "core/io/own_file.hpp"

#include <dlfcn.h>
#include <link.h>

#include <string_view>

namespace vlalign {

std::filesystem::path own_file() {
  Dl_info object{};
  link_map* map = nullptr;
  const auto* here = reinterpret_cast<const void*>(&own_file);
  if (::dladdr1(here, &object, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) return {};
  const std::string_view name = map->l_name;  // empty: the program itself, whose name may not say where it lies
  std::error_code error;
  return std::filesystem::canonical(name.empty() ? "/proc/self/exe" : name, error);
}

}  // namespace vlalign
