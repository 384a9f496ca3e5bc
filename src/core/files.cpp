#include "files.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "check.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

class FileDescriptor {
 public:
  FileDescriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags, 0644)) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }
  int get() const { return fd_; }
  bool close() {
    const int fd = std::exchange(fd_, -1);
    return fd < 0 || ::close(fd) == 0;
  }

 private:
  int fd_;
};

void sync_folder(const fs::path& folder) {
  const FileDescriptor fd(folder.empty() ? fs::path(".") : folder, O_RDONLY | O_DIRECTORY);
  if (fd.get() >= 0) ::fsync(fd.get());  // some file systems refuse; the rename still holds
}

bool write_all(int fd, std::string_view contents) {
  while (!contents.empty()) {
    const auto written = ::write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

fs::path beside(const fs::path& path) {
  fs::path temporary = path;
  temporary += fmt::format(".partial-{}", ::getpid());
  return temporary;
}

void sync_tree(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) {
      sync_folder(entry.path());
    } else {
      const FileDescriptor fd(entry.path(), O_RDONLY);
      check(fd.get() >= 0 && ::fsync(fd.get()) == 0, "{}: cannot sync: {}", entry.path().string(), reason());
    }
  }
  sync_folder(folder);
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view contents) {
  write_file_atomically(path, [contents](const auto& write) { write(contents); });
}

void write_file_atomically(const fs::path& path,
                           const std::function<void(const std::function<void(std::string_view)>&)>& fill) {
  const auto temporary = beside(path);
  FileDescriptor fd(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  const auto done = [&](bool well) { check(well, "{}: cannot write: {}", path.string(), reason()); };
  done(fd.get() >= 0);
  try {
    fill([&](std::string_view piece) { done(write_all(fd.get(), piece)); });
    done(::fsync(fd.get()) == 0);
    done(fd.close());
    done(::rename(temporary.c_str(), path.c_str()) == 0);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_folder(path.parent_path());
}

void write_folder_atomically(const fs::path& path, const std::function<void(const fs::path&)>& fill) {
  const auto temporary = beside(path);
  fs::path replaced = temporary;
  replaced += "-old";
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    fill(temporary);
    sync_tree(temporary);
    if (fs::exists(path)) fs::rename(path, replaced);
    fs::rename(temporary, path);
    sync_folder(path.parent_path());
    fs::remove_all(replaced);
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    fail("{}: cannot write: {}", path.string(), error.code().message());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

std::string read_file(const fs::path& path) {
  std::error_code ignored;
  check(!fs::is_directory(path, ignored), "{}: is a folder, a file is needed", path.string());
  std::ifstream stream(path, std::ios::binary);
  check(stream.good(), "{}: cannot read: {}", path.string(), reason());
  std::ostringstream contents;
  contents << stream.rdbuf();
  return std::move(contents).str();
}

fs::path share_folder() {
  if (const char* named = std::getenv("VLALIGN_SHARE")) return named;
  // PREFIX/lib/libvlalign.so or PREFIX/lib/<machine>/libvlalign.so, in the build tree and installed.
  Dl_info library{};
  if (::dladdr(reinterpret_cast<const void*>(&share_folder), &library) != 0 && library.dli_fname != nullptr) {
    std::error_code error;
    auto prefix = fs::canonical(library.dli_fname, error).parent_path();
    for (int level = 0; level < 2; ++level) {
      prefix = prefix.parent_path();
      if (fs::is_directory(prefix / "share" / "vlalign", error)) return prefix / "share" / "vlalign";
    }
  }
  return VLALIGN_SHARE_DIR;
}

}  // namespace vlalign
