#include "core/io/partial.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view marker = ".vlalign.partial-";

/// unknown: the file system can't lock
enum class Lock { held, taken, unknown };

Lock lock(const FileDescriptor& open) {
  if (::flock(open.get(), LOCK_EX | LOCK_NB) == 0) return Lock::held;
  return errno == EWOULDBLOCK ? Lock::taken : Lock::unknown;
}

/// Only what is there already.
FileDescriptor open_existing(const fs::path& path, bool folder) {
  const int flags = folder ? O_RDONLY | O_DIRECTORY : O_WRONLY | O_NONBLOCK;
  return FileDescriptor(::open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
}

/// Only what isn't there yet.
FileDescriptor make(const fs::path& path, bool folder) {
  if (!folder) return FileDescriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (::mkdir(path.c_str(), 0777) != 0) return FileDescriptor();
  auto made = open_existing(path, folder);
  if (!made) {
    const int why = errno;
    ::rmdir(path.c_str());
    errno = why;
  }
  return made;
}

bool make_empty(const fs::path& path, const FileDescriptor& open, bool folder) {
  struct stat status {};
  if (!folder) return ::fstat(open.get(), &status) == 0 && S_ISREG(status.st_mode) && ::ftruncate(open.get(), 0) == 0;
  std::error_code error;
  for (const auto& entry : entries_of(path)) {
    fs::remove_all(entry, error);
    if (error) return false;
  }
  return true;
}

}  // namespace

Partial::Partial(const fs::path& place, fs::file_type type)
    : place_(place), is_folder_(type == fs::file_type::directory) {
  constexpr int most_writers = 1000;
  for (int i = 0; i < most_writers; ++i) {
    path_ = place;
    path_ += fmt::format("{}{}", marker, i);
    if (acquire()) return;
  }
  fail("{}: cannot write: {} writers are at it, or what they left can't be removed", place.string(), most_writers);
}

Partial::~Partial() {
  if (!leads_to(path_, open_)) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

/// False when somebody else has the name.
bool Partial::acquire() {
  open_ = make(path_, is_folder_);
  if (!open_) {
    check(errno == EEXIST, "{}: cannot write: {}", place_.string(), std::strerror(errno));
    return take();
  }
  if (lock(open_) != Lock::taken && leads_to(path_, open_)) return true;
  open_ = FileDescriptor();  // taken over already, as if this writer were dead
  return false;
}

bool Partial::take() {
  auto left = open_existing(path_, is_folder_);
  if (!left || lock(left) != Lock::held || !leads_to(path_, left)) return false;
  if (!make_empty(path_, left, is_folder_)) return false;
  open_ = std::move(left);
  return true;
}

void Partial::take_replaced() {
  open_ = open_existing(path_, is_folder_);
  if (open_ && lock(open_) == Lock::taken) open_ = FileDescriptor();  // another writer found it first and sees to it
}

bool is_partial_name(std::string_view name) {
  const auto at = name.rfind(marker);
  if (at == name.npos || at == 0) return false;
  const auto number = name.substr(at + marker.size());
  return !number.empty() && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void remove_dead_partials(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    if (!is_partial_name(path.filename().string())) continue;
    std::error_code error;
    const bool is_folder = fs::is_directory(fs::symlink_status(path, error));
    const auto left = open_existing(path, is_folder);
    if (left && lock(left) == Lock::held && leads_to(path, left)) fs::remove_all(path, error);
  }
}

}  // namespace vlalign
