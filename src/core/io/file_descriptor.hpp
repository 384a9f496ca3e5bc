// An open file or folder. Internal.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <utility>

namespace vlalign {

/// Closes it at the end. A descriptor below 0 stands for none.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// Whether the path, links followed, still names what is open here.
bool leads_to(const std::filesystem::path& path, const FileDescriptor& open);

}  // namespace vlalign
