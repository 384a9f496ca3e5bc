#include "support/allocation_count.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace {

thread_local std::int64_t count = 0;

struct Range {
  std::uintptr_t begin = 0, end = 0;
  bool holds(const void* address) const {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return begin <= at && at < end;
  }
};

/// Where the program lies, which vlalign's code is part of, and the standard library, whose calls are looked through.
struct Ranges {
  Range program, standard;
};

Range range_of(const dl_phdr_info& info) {
  Range range{UINTPTR_MAX, 0};
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& part = info.dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    range.begin = std::min<std::uintptr_t>(range.begin, info.dlpi_addr + part.p_vaddr);
    range.end = std::max<std::uintptr_t>(range.end, info.dlpi_addr + part.p_vaddr + part.p_memsz);
  }
  return range;
}

int add_range(dl_phdr_info* info, std::size_t, void* found) {
  auto& ranges = *static_cast<Ranges*>(found);
  const std::string_view name(info->dlpi_name);
  if (name.empty() && ranges.program.end == 0) ranges.program = range_of(*info);
  if (name.find("/libstdc++.so") != name.npos) ranges.standard = range_of(*info);
  return 0;
}

const Ranges& ranges() {
  static const Ranges found = [] {
    Ranges ranges;
    dl_iterate_phdr(add_range, &ranges);
    return ranges;
  }();
  return found;
}

constexpr int depth = 24, kept_calls = 12;
std::atomic<bool> watching = false;
std::atomic<std::int64_t> own = 0;
std::array<std::array<void*, depth>, kept_calls> calls;
thread_local bool inside = false;

/// Counts the caller if it is the program. asked: where operator new returns to.
void look_at_caller(const void* asked) {
  if (!watching || inside) return;
  inside = true;
  std::array<void*, depth> frames{};
  const int size = backtrace(frames.data(), depth);
  int i = static_cast<int>(std::find(frames.begin(), frames.begin() + size, asked) - frames.begin());
  while (i < size && ranges().standard.holds(frames[i])) ++i;
  if (i < size && ranges().program.holds(frames[i])) {
    const auto place = own++;
    if (place < kept_calls) std::memcpy(calls[place].data(), frames.data() + i, sizeof(void*) * (depth - i));
  }
  inside = false;
}

void* counted(const void* asked, std::size_t size, std::size_t alignment = 0) {
  ++count;
  look_at_caller(asked);
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
  ranges();
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

void* operator new(std::size_t size) { return counted(__builtin_return_address(0), size); }
void* operator new[](std::size_t size) { return counted(__builtin_return_address(0), size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(__builtin_return_address(0), size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(__builtin_return_address(0), size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return counted(__builtin_return_address(0), size);
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
