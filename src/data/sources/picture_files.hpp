// The pictures in a folder.
#pragma once

#include <filesystem>
#include <vector>

namespace vlalign {

/// The picture files (see is_image_file) in a folder and below, sorted. Links are followed, and each folder is searched
/// once. One below that can't be listed, and a link that leads to itself or back to a folder that it lies in, costs a
/// warning; links to nothing are left out. Throws Error when there is no such folder, it can't be listed, or there are
/// no pictures.
std::vector<std::filesystem::path> picture_files(const std::filesystem::path& folder);

}  // namespace vlalign
