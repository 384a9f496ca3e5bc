#include "core/io/place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

fs::path without_slashes(fs::path path) {
  while (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  return path;
}

fs::path folder_of(const fs::path& place) {
  const auto folder = place.parent_path();
  return folder.empty() ? fs::path(".") : folder;
}

void check_writable(const fs::path& folder, const fs::path& path) {
  check(is_folder(folder), "{}: cannot write: {}", path.string(), std::strerror(is_there(folder) ? ENOTDIR : ENOENT));
  check(::access(folder.c_str(), W_OK | X_OK) == 0, "{}: cannot write: {}: {}", path.string(), folder.string(),
        std::strerror(errno));
}

/// Another file system's root can't be renamed.
bool is_mount_point(const fs::path& place) {
  struct statx status {};
  return ::statx(AT_FDCWD, place.c_str(), 0, STATX_BASIC_STATS, &status) == 0 &&
         (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

fs::path place_of(const fs::path& path) {
  constexpr int most_links = 40;  // as Linux follows
  check(!path.empty(), "a path to write to is empty");
  auto place = without_slashes(path);
  for (int links = 0; links < most_links; ++links) {
    std::error_code no_link;
    const auto target = fs::read_symlink(place, no_link);
    if (!no_link) {
      place = without_slashes(place.parent_path() / target);
      continue;
    }
    if (place.filename() != "." && place.filename() != "..") return place;
    std::error_code error;
    auto named = fs::canonical(place, error);
    check(!error, "{}: cannot look there: {}", path.string(), error.message());
    return named;
  }
  fail("{}: cannot write: {}", path.string(), std::strerror(ELOOP));
}

void check_file_place(const fs::path& path) {
  const auto place = place_of(path);
  const auto status = status_of(place);
  check(path.has_filename(), "{}: names a folder, and a file is to be written there", path.string());
  if (!fs::exists(status)) return check_writable(folder_of(place), path);
  check(!fs::is_directory(status), "{}: is a folder, and a file is to be written there", path.string());
  check(fs::is_regular_file(status), "{}: is no regular file and isn't replaced", path.string());
  check_writable(folder_of(place), path);
}

void check_file_place(const fs::path& path, const Replaceable& replaceable) {
  check_file_place(path);
  const auto place = place_of(path);
  std::error_code error;
  const auto size = fs::file_size(place, error);
  if (error || size == 0) return;
  const auto misfit = replaceable.misfit(place);
  check(misfit.empty(), "{}: isn't replaced, since it is not {}: {}; choose another name", path.string(),
        replaceable.kind, misfit);
}

void check_folder_place(const fs::path& path, const Replaceable& replaceable) {
  const auto place = place_of(path);
  const auto status = status_of(place);
  if (!fs::exists(status)) {
    auto above = folder_of(place);
    while (!is_there(above)) above = folder_of(above);
    return check_writable(above, path);
  }
  check(fs::is_directory(status), "{}: is a file, and a folder is to be written there; choose another name",
        path.string());
  check(!is_mount_point(place),
        "{}: another file system is mounted there, which can't be replaced; name a folder in it", path.string());
  check_writable(folder_of(place), path);
  std::string misfit;
  read_whole_folder(place,
                    [&](const fs::path& copy) { misfit = entries_of(copy).empty() ? "" : replaceable.misfit(copy); });
  check(misfit.empty(), "{}: isn't replaced, since it is not empty and not {}: {}; choose another name", path.string(),
        replaceable.kind, misfit);
}

}  // namespace vlalign
