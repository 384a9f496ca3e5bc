#pragma once

#include "vlalign/core/export.hpp"

/// Of these headers. Until 1.0 the C++ API may change with the second number.
#define VLALIGN_VERSION "0.1.0"
#define VLALIGN_VERSION_MAJOR 0
#define VLALIGN_VERSION_MINOR 1
#define VLALIGN_VERSION_PATCH 0

namespace vlalign {

/// Of the library that the program runs with, as in "0.1.0".
VLALIGN_EXPORT const char* version();

}  // namespace vlalign
