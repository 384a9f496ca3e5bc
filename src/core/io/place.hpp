// What a path that is to be written names now, and whether that may be replaced. Internal.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace vlalign {

/// What may be replaced, beside an empty file or folder: things of the kind that is to be written.
struct Replaceable {
  const char* kind;  ///< for messages: "a model folder"
  /// Says why what stands at a path isn't one: "notes.txt is in it"; says nothing of one that is.
  std::function<std::string(const std::filesystem::path&)> misfit;
};

/// Where a path leads: links followed, to what isn't there yet too, and without slashes at the end. Throws Error for
/// links that lead to themselves.
std::filesystem::path place_of(const std::filesystem::path& path);

/// Throws Error unless a file can be put at `path`: its folder is there and can be written, and the path names nothing
/// or a regular file.
void check_file_place(const std::filesystem::path& path);
/// The same, and a file that holds anything must be replaceable.
void check_file_place(const std::filesystem::path& path, const Replaceable& replaceable);

/// Throws Error unless a folder can be put at `path`: the path names nothing, an empty folder, or a replaceable one.
void check_folder_place(const std::filesystem::path& path, const Replaceable& replaceable);

}  // namespace vlalign
