#include "core/loadable_module.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "core/check.hpp"
#include "core/io/own_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// Where a module may lie: beside the library, or in the folder of libraries of a program that the library is part of.
std::vector<fs::path> module_places(const std::string& name) {
  const auto beside = own_file().parent_path();
  std::vector<fs::path> places;
  for (const auto& folder : {beside, beside.parent_path() / "lib", beside.parent_path() / VLALIGN_LIBDIR}) {
    auto place = folder / fmt::format(VLALIGN_MODULE, name);
    if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(std::move(place));
  }
  return places;
}

fs::path module_path(const std::string& name, const std::string& missing) {
  const auto places = module_places(name);
  const auto found = std::find_if(places.begin(), places.end(), [](const auto& place) {
    std::error_code error;
    return fs::exists(place, error);
  });
  if (found != places.end()) return *found;
  std::string looked_at;
  for (const auto& place : places) looked_at += (looked_at.empty() ? "" : ", ") + place.string();
  fail("{}; a program that is copied needs its module beside it, which was looked for at {}", missing, looked_at);
}

/// The runtimes of the address, thread and memory sanitizers end a program that uses RTLD_DEEPBIND.
bool is_sanitized() { return ::dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") != nullptr; }

}  // namespace

void* load_module(const std::string& name, const char* entry, ModuleNames names, const std::string& missing) {
  const auto path = module_path(name, missing);
  const bool deep = names == ModuleNames::own_first && !is_sanitized();
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
  if (module == nullptr) fail("{}: cannot be loaded: {}", path.string(), ::dlerror());
  void* address = ::dlsym(module, entry);
  check(address != nullptr, "{}: is not this vlalign's: it has no {}", path.string(), entry);
  return address;
}

}  // namespace vlalign
