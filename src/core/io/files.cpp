#include "core/io/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/check.hpp"
#include "core/io/file_descriptor.hpp"
#include "core/io/own_file.hpp"
#include "core/io/partial.hpp"
#include "core/io/place.hpp"
#include "core/utf8.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

bool write_all(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const auto written = ::write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

FileDescriptor opened(const fs::path& path, int more_flags) {
  std::error_code ignored;
  check(!fs::is_directory(path, ignored), "{}: is a folder, a file is needed", path.string());
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | more_flags));
  if (!file) fail("{}: cannot read: {}", path.string(), std::strerror(errno));
  return file;
}

void check_length(std::int64_t bytes, std::int64_t most, const fs::path& path) {
  check(bytes <= most, "{}: has {} bytes or more; what is read whole may have {}", path.string(), bytes, most);
}

std::string read_to_end(const FileDescriptor& file, const fs::path& path, std::int64_t most_bytes) {
  std::string contents;
  std::array<char, 1 << 16> piece;
  for (;;) {
    const auto got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot read to its end: {}", path.string(), std::strerror(errno));
    if (got == 0) return contents;
    contents.append(piece.data(), static_cast<std::size_t>(got));
    check_length(std::ssize(contents), most_bytes, path);
  }
}

std::string as_utf8(const std::string& text, const fs::path& path) {
  check(!text.starts_with("\xff\xfe") && !text.starts_with("\xfe\xff"), "{}: is UTF-16, save it as UTF-8",
        path.string());
  return std::string(without_byte_order_mark(text));
}

}  // namespace

fs::file_status status_of(const fs::path& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  check(status.type() != fs::file_type::none, "{}: cannot look there: {}", path.string(), error.message());
  return status;
}

bool is_there(const fs::path& path) { return fs::exists(status_of(path)); }
bool is_folder(const fs::path& path) { return fs::is_directory(status_of(path)); }

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    entries.push_back(at->path());
  check(!error, "{}: cannot list the folder: {}", folder.string(), error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

void write_file_atomically(const fs::path& path, std::string_view contents) {
  write_file_atomically(path, [contents](const auto& write) { write(contents); });
}

void write_file_atomically(const fs::path& path,
                           const std::function<void(const std::function<void(std::string_view)>&)>& fill) {
  check_file_place(path);
  const auto place = place_of(path);
  const Partial partial(place, fs::file_type::regular);
  const auto done = [&](bool well) { check(well, "{}: cannot write: {}", path.string(), std::strerror(errno)); };
  fill([&](std::string_view piece) { done(write_all(partial.descriptor(), piece)); });
  done(::fsync(partial.descriptor()) == 0);
  done(::rename(partial.path().c_str(), place.c_str()) == 0);
  sync_folder(place.parent_path());
}

void sync_folder(const fs::path& folder) {
  const auto path = folder.empty() ? fs::path(".") : folder;
  const FileDescriptor open(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!open || ::fsync(open.get()) == 0) return;  // who may not read a folder can't sync it
  // Some file systems can't sync folders; the rename still holds.
  check(errno != EIO && errno != ENOSPC && errno != EDQUOT, "{}: cannot sync: {}", path.string(), std::strerror(errno));
}

// O_NONBLOCK: opening a named pipe by mistake must not wait for a writer.
std::string read_file(const fs::path& path, std::int64_t most_bytes) {
  const auto file = opened(path, O_NONBLOCK);
  struct stat status {};
  check(::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode), "{}: is not a regular file", path.string());
  check_length(status.st_size, most_bytes, path);
  return read_to_end(file, path, most_bytes);
}

std::string read_text(const fs::path& path) { return as_utf8(read_file(path), path); }

std::string read_text_or_pipe(const fs::path& path) {
  return as_utf8(read_to_end(opened(path, 0), path, largest_file), path);
}

fs::path share_folder() {
  if (const char* named = std::getenv("VLALIGN_SHARE")) return named;
  // PREFIX/bin, PREFIX/lib or PREFIX/lib/<machine>, in the build tree and installed.
  const auto beside = own_file().parent_path();
  for (const auto& prefix : {beside, beside.parent_path(), beside.parent_path().parent_path()}) {
    std::error_code error;
    if (fs::is_directory(prefix / "share" / "vlalign", error)) return prefix / "share" / "vlalign";
  }
  return beside.parent_path() / "share" / "vlalign";
}

}  // namespace vlalign
