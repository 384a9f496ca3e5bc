#pragma once

#include <cstdint>
#include <string>

namespace vlalign::test {

/// How often this thread has called operator new so far, in programs that link allocation_count.cpp.
std::int64_t allocation_count();

/// Counts the calls of operator new, from any thread and for as long as this lives, that come from the program, of
/// which vlalign's code is a part, or from the C++ standard library on its behalf: not those from inside LibTorch's
/// libraries.
class OwnAllocations {
 public:
  OwnAllocations();
  ~OwnAllocations();
  OwnAllocations(const OwnAllocations&) = delete;
  OwnAllocations& operator=(const OwnAllocations&) = delete;

  std::int64_t count() const;
  /// Who made the first few, a line each.
  std::string callers() const;
};

}  // namespace vlalign::test
