#pragma once

#include <cstdint>

namespace vlalign::test {

/// How often this thread has called operator new so far, in programs that link allocation_count.cpp.
std::int64_t allocation_count();

}  // namespace vlalign::test
