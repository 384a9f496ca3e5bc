// Whether the program was built with a sanitizer.
#pragma once

#include <dlfcn.h>

namespace vlalign::test {

/// Sanitizers refuse the flag that keeps the modules' names apart from LibTorch's, after which a failed allocation
/// aborts.
inline bool is_sanitized() { return ::dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace") != nullptr; }

}  // namespace vlalign::test
