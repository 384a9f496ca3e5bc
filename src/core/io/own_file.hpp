// The file that this code runs from. Internal.
#pragma once

#include <filesystem>

namespace vlalign {

/// The shared library, module or program that holds the library's code, links resolved; empty where the system doesn't
/// say.
std::filesystem::path own_file();

}  // namespace vlalign
