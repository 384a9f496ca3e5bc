// Files that are never half written: made beside their place, synced, renamed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace vlalign {

/// Writes `contents` to a temporary name beside `path`, syncs it and renames it over `path`.
/// Throws Error naming the path and the system's reason; the temporary file is removed.
void write_file_atomically(const std::filesystem::path& path, std::string_view contents);

/// The same in pieces: `fill` calls the function it is given with one piece after the other.
void write_file_atomically(const std::filesystem::path& path,
                           const std::function<void(const std::function<void(std::string_view)>&)>& fill);

/// The same for a folder: `fill` writes into a temporary folder beside `path`, which then takes its place. Everything
/// in it is synced first. An existing folder is replaced.
void write_folder_atomically(const std::filesystem::path& path,
                             const std::function<void(const std::filesystem::path&)>& fill);

/// The whole of a file; throws Error naming it and the system's reason.
std::string read_file(const std::filesystem::path& path);

/// Where set-up put shared files such as CLIP's vocabulary: $VLALIGN_SHARE, else share/vlalign beside the library's lib/,
/// else the folder known when the library was built.
std::filesystem::path share_folder();

}  // namespace vlalign
