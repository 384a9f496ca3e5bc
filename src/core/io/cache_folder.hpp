// Where what can be made again is kept. Internal.
#pragma once

#include <filesystem>

namespace vlalign {

/// $XDG_CACHE_HOME/vlalign, else ~/.cache/vlalign (freedesktop's base directories); empty where neither is known. It
/// need not be there yet.
std::filesystem::path cache_folder();

}  // namespace vlalign
