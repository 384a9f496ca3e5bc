// Where a safetensors file may be written. Internal.
#pragma once

#include <filesystem>

namespace vlalign {

/// Throws Error unless write_safetensors() can write there: for commands that ask before they work.
void check_safetensors_place(const std::filesystem::path& file);

}  // namespace vlalign
