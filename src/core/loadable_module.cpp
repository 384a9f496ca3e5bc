#include "core/loadable_module.hpp"

#include <dlfcn.h>

#include <filesystem>

#include "core/check.hpp"
#include "core/io/own_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// Beside the library, or in the folder of libraries of a program that the library is part of; empty where it is in
/// neither.
fs::path module_path(const std::string& name) {
  const auto beside = own_file().parent_path();
  for (const auto& folder : {beside, beside.parent_path() / "lib", beside.parent_path() / VLALIGN_LIBDIR}) {
    std::error_code error;
    if (const auto path = folder / fmt::format(VLALIGN_MODULE, name); fs::exists(path, error)) return path;
  }
  return {};
}

/// The runtimes of the address, thread and memory sanitizers end a program that uses RTLD_DEEPBIND.
bool is_sanitized() { return ::dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") != nullptr; }

}  // namespace

void* load_module(const std::string& name, const char* entry, ModuleNames names, const std::string& missing) {
  const auto path = module_path(name);
  check(!path.empty(), "{}", missing);
  const bool deep = names == ModuleNames::own_first && !is_sanitized();
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
  if (module == nullptr) fail("{}: cannot be loaded: {}", path.string(), ::dlerror());
  void* address = ::dlsym(module, entry);
  check(address != nullptr, "{}: is not this vlalign's: it has no {}", path.string(), entry);
  return address;
}

}  // namespace vlalign
