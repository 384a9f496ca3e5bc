// The pictures in a folder.
#pragma once

#include <filesystem>
#include <vector>

namespace vlalign {

/// The picture files (see is_image_file) in a folder and below, sorted. Links are followed, but not to a folder that
/// they lie in; those that lead nowhere are left out. Throws Error when there is no such folder, one below can't be
/// listed, or there are no pictures.
std::vector<std::filesystem::path> picture_files(const std::filesystem::path& folder);

}  // namespace vlalign
