// What the processor has that a test depends on.
#pragma once

namespace vlalign::test {

inline bool has_avx512() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512f") != 0;
#else
  return false;
#endif
}

}  // namespace vlalign::test
