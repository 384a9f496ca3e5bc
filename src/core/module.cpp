#include "core/module.hpp"

#include <dlfcn.h>

#include <filesystem>

#include "core/check.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

fs::path module_path(const std::string& name) {
  Dl_info library{};
  std::error_code error;
  if (::dladdr(reinterpret_cast<const void*>(&load_module), &library) == 0 || library.dli_fname == nullptr) return {};
  return fs::canonical(library.dli_fname, error).parent_path() / fmt::format(VLALIGN_MODULE, name);
}

/// The runtimes of the address, thread and memory sanitizers end a program that uses RTLD_DEEPBIND.
bool is_sanitized() { return ::dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") != nullptr; }

}  // namespace

void* load_module(const std::string& name, const char* entry, ModuleNames names, const std::string& missing) {
  const auto path = module_path(name);
  std::error_code error;
  check(fs::exists(path, error), "{}", missing);
  const bool deep = names == ModuleNames::own_first && !is_sanitized();
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | (deep ? RTLD_DEEPBIND : 0));
  if (module == nullptr) fail("{}: cannot be loaded: {}", path.string(), ::dlerror());
  void* address = ::dlsym(module, entry);
  check(address != nullptr, "{}: is not this vlalign's: it has no {}", path.string(), entry);
  return address;
}

}  // namespace vlalign
