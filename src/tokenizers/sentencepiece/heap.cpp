// The module's heap is the program's. Its own libraries' names come first here (ModuleNames::own_first), the standard
// library's operator new among them; but texts that the standard library makes come from the program's operator new,
// which may be another, and libsentencepiece gives them back.
#include <dlfcn.h>

#include <new>

namespace {

template <typename Function>
Function* of_program(const char* name) {
  void* found = ::dlsym(::dlopen(nullptr, RTLD_LAZY), name);
  if (found == nullptr) found = ::dlsym(RTLD_NEXT, name);  // a program in C has none
  return reinterpret_cast<Function*>(found);
}

}  // namespace

void* operator new(std::size_t size) {
  static auto* const allocate = of_program<void*(std::size_t)>("_Znwm");
  return allocate(size);
}

void* operator new[](std::size_t size) {
  static auto* const allocate = of_program<void*(std::size_t)>("_Znam");
  return allocate(size);
}

void operator delete(void* memory) noexcept {
  static auto* const release = of_program<void(void*)>("_ZdlPv");
  release(memory);
}

void operator delete[](void* memory) noexcept {
  static auto* const release = of_program<void(void*)>("_ZdaPv");
  release(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete[](memory); }
