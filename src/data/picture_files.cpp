#include "data/picture_files.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/files.hpp"
#include "vlalign/data/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// `above`: the folders that it lies in, and itself.
void add_pictures(const fs::path& folder, std::vector<fs::path>& above, std::vector<fs::path>& pictures) {
  std::error_code nowhere;
  for (const auto& path : entries_of(folder)) {
    const auto type = fs::status(path, nowhere).type();
    if (type == fs::file_type::regular && is_image_file(path)) pictures.push_back(path);
    if (type != fs::file_type::directory) continue;
    const auto is_same = [&](const fs::path& one) { return fs::equivalent(one, path, nowhere); };
    if (fs::is_symlink(path, nowhere) && std::any_of(above.begin(), above.end(), is_same)) continue;
    above.push_back(path);
    add_pictures(path, above, pictures);
    above.pop_back();
  }
}

}  // namespace

std::vector<fs::path> picture_files(const fs::path& folder) {
  check(is_folder(folder), "{}: no such folder", folder.string());
  std::vector<fs::path> above{folder}, pictures;
  add_pictures(folder, above, pictures);
  check(!pictures.empty(), "{}: no pictures in this folder or below (.jpg, .jpeg, .jpe, .jfif, .png, .apng or .webp)",
        folder.string());
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

}  // namespace vlalign
