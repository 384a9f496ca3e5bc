#include "support/allocation_count.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "vlalign/core/error.hpp"

namespace {

thread_local std::int64_t count = 0;

struct Library {
  std::uintptr_t begin = 0, end = 0;
  bool holds(const void* address) const {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return begin <= at && at < end;
  }
};

/// Whose calls are looked through (the standard library's and this program's operator new), and whose count.
struct Libraries {
  Library own, standard, program;
};

Library bounds_of(const dl_phdr_info& info) {
  Library bounds{UINTPTR_MAX, 0};
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& part = info.dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    bounds.begin = std::min<std::uintptr_t>(bounds.begin, info.dlpi_addr + part.p_vaddr);
    bounds.end = std::max<std::uintptr_t>(bounds.end, info.dlpi_addr + part.p_vaddr + part.p_memsz);
  }
  return bounds;
}

int add_library(dl_phdr_info* info, std::size_t, void* found) {
  auto& libraries = *static_cast<Libraries*>(found);
  const std::string_view name(info->dlpi_name);
  if (name.empty()) libraries.program = bounds_of(*info);
  if (name.find("/libvlalign.so") != name.npos) libraries.own = bounds_of(*info);
  if (name.find("/libstdc++.so") != name.npos) libraries.standard = bounds_of(*info);
  return 0;
}

const Libraries& libraries() {
  static const Libraries found = [] {
    Libraries libraries;
    dl_iterate_phdr(add_library, &libraries);
    return libraries;
  }();
  return found;
}

/// A function of the standard library's or LibTorch's headers, compiled into libvlalign.so: the caller is
/// behind it.
bool is_template(const void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || !info.dli_sname) return false;
  const std::string_view name(info.dli_sname);
  for (const auto* space : {"_ZNSt", "_ZNKSt", "_ZSt", "_ZN3c10", "_ZNK3c10", "_ZN2at", "_ZNK2at"})
    if (name.starts_with(space)) return true;
  return false;
}

constexpr int depth = 24, kept_calls = 12;
std::atomic<bool> watching = false;
std::atomic<std::int64_t> own = 0;
std::array<std::array<void*, depth>, kept_calls> calls;
thread_local bool inside = false;

/// The frame that asked for memory, counted from this function's own; 0 when it isn't libvlalign.so's.
void look_at_caller() {
  if (!watching || inside) return;
  inside = true;
  std::array<void*, depth> frames{};
  const int size = backtrace(frames.data(), depth);
  const auto& known = libraries();
  const auto only_passes_on = [&](const void* frame) {
    return known.program.holds(frame) || known.standard.holds(frame) || (known.own.holds(frame) && is_template(frame));
  };
  int i = 0;
  while (i < size && only_passes_on(frames[i])) ++i;
  if (i < size && known.own.holds(frames[i])) {
    const auto place = own++;
    if (place < kept_calls) std::memcpy(calls[place].data(), frames.data() + i, sizeof(void*) * (depth - i));
  }
  inside = false;
}

void* counted(std::size_t size, std::size_t alignment = 0) {
  ++count;
  look_at_caller();
  void* memory = alignment == 0 ? std::malloc(size)
                                : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory) return memory;
  throw std::bad_alloc();
}

/// Of a function of a library: its name, or its offset for addr2line.
std::string symbol_of(void* address) {
  Dl_info info{};
  if (dladdr(address, &info) == 0 || !info.dli_sname) return "?";
  int status = 0;
  char* name = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string shown = status == 0 ? name : info.dli_sname;
  std::free(name);
  return shown.substr(0, 90);
}

}  // namespace

namespace vlalign::test {

std::int64_t allocation_count() { return count; }

OwnAllocations::OwnAllocations() {
  if (libraries().own.begin == 0) throw Error("libvlalign.so is not among the loaded libraries");
  std::array<void*, 2> frames{};
  backtrace(frames.data(), 2);  // loads the unwinder
  own = 0;
  watching = true;
}

OwnAllocations::~OwnAllocations() { watching = false; }

std::int64_t OwnAllocations::count() const { return own; }

std::string OwnAllocations::callers() const {
  watching = false;
  std::string text;
  for (std::int64_t i = 0; i < std::min<std::int64_t>(own, kept_calls); ++i) {
    for (int frame = 0; frame < 5; ++frame) text += (frame == 0 ? "\n  " : " < ") + symbol_of(calls[i][frame]);
  }
  return text;
}

}  // namespace vlalign::test

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return counted(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& how) noexcept { return operator new(size, how); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
