#include "core/io/folders.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/partial.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view replaced_ending = ".vlalign.replaced";

/// Where the folder of a place stands between the two steps.
fs::path aside_of(fs::path place) { return place += replaced_ending; }

void sync_tree(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    if (is_folder(path)) {
      sync_tree(path);
    } else {
      const FileDescriptor open(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      check(open && ::fsync(open.get()) == 0, "{}: cannot sync: {}", path.string(), std::strerror(errno));
    }
  }
  sync_folder(folder);
}

/// Puts back what stands aside; where its place is taken, it was replaced and goes.
void recover(const fs::path& place) {
  const auto aside = aside_of(place);
  if (!is_there(aside) || ::rename(aside.c_str(), place.c_str()) == 0) return;
  Partial partial(place, fs::file_type::directory);
  if (::rename(aside.c_str(), partial.path().c_str()) == 0) partial.take_replaced();
}

bool can_exchange(const fs::path& made, const fs::path& place) {
  if (::renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return true;
  const bool unknown = errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM;
  check(unknown, "{}: cannot be replaced: {}", place.string(), std::strerror(errno));
  return false;
}

/// The same where the system can't: a whole copy stands aside or in its place at any moment.
void exchange_by_steps(const fs::path& made, const fs::path& place) {
  const auto aside = aside_of(place);
  check(::rename(place.c_str(), aside.c_str()) == 0, "{}: cannot be replaced: {}", place.string(),
        std::strerror(errno));
  if (::rename(made.c_str(), place.c_str()) != 0) {
    const std::string why = std::strerror(errno);  // before the next call changes it
    check(::rename(aside.c_str(), place.c_str()) == 0, "{}: cannot be replaced: {}; what was there is now {}",
          place.string(), why, aside.string());
    fail("{}: cannot be replaced: {}", place.string(), why);
  }
  ::rename(aside.c_str(), made.c_str());  // where this fails, the next writer removes it
}

void put(Partial& made, const fs::path& place) {
  const auto& from = made.path();
  if (::rename(from.c_str(), place.c_str()) == 0) return sync_folder(place.parent_path());  // over an empty one too
  check(errno == ENOTEMPTY || errno == EEXIST, "{}: cannot write: {}", place.string(), std::strerror(errno));
  if (!can_exchange(from, place)) exchange_by_steps(from, place);
  made.take_replaced();
  sync_folder(place.parent_path());
}

/// The folder itself or, after a kill between the two steps, what was there before.
fs::path whole_copy_of(const fs::path& folder) {
  if (is_there(folder)) return folder;
  const auto aside = aside_of(place_of(folder));
  return is_folder(aside) ? aside : folder;
}

}  // namespace

void write_folder_atomically(const fs::path& path, const Replaceable& replaceable,
                             const std::function<void(const fs::path&)>& fill) {
  check_folder_place(path, replaceable);
  const auto place = place_of(path);
  try {
    if (place.has_parent_path()) fs::create_directories(place.parent_path());
    recover(place);
    Partial partial(place, fs::file_type::directory);
    fill(partial.path());
    sync_tree(partial.path());
    check_folder_place(path, replaceable);  // it took a while
    put(partial, place);
  } catch (const fs::filesystem_error& error) {
    fail("{}: cannot write: {}", path.string(), error.code().message());
  }
}

void read_whole_folder(const fs::path& folder, const std::function<void(const fs::path&)>& read) {
  constexpr int most_times = 100;
  for (int i = 0; i < most_times; ++i) {
    const auto copy = whole_copy_of(folder);
    const FileDescriptor open(::open(copy.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    check(open || errno == ENOENT || errno == ENOTDIR, "{}: cannot open: {}", folder.string(), std::strerror(errno));
    const auto is_same = [&] {
      return whole_copy_of(folder) == copy && (open ? leads_to(copy, open) : !is_folder(copy));
    };
    try {
      read(copy);
      if (is_same()) return;
    } catch (...) {
      if (is_same()) throw;
    }
  }
  fail("{}: was replaced {} times while it was read", folder.string(), most_times);
}

void remove_folder_atomically(const fs::path& folder) {
  Partial partial(folder, fs::file_type::directory);
  check(::rename(folder.c_str(), partial.path().c_str()) == 0, "{}: cannot remove: {}", folder.string(),
        std::strerror(errno));
  partial.take_replaced();
}

void tidy_folder(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    if (name.size() > replaced_ending.size() && name.ends_with(replaced_ending))
      recover(folder / name.substr(0, name.size() - replaced_ending.size()));
  }
  remove_dead_partials(folder);
}

}  // namespace vlalign
