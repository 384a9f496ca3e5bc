#include "core/io/file_descriptor.hpp"

#include <sys/stat.h>

namespace vlalign {

bool leads_to(const std::filesystem::path& path, const FileDescriptor& open) {
  struct stat named {
  }, here{};
  return open && ::stat(path.c_str(), &named) == 0 && ::fstat(open.get(), &here) == 0 && named.st_dev == here.st_dev &&
         named.st_ino == here.st_ino;
}

}  // namespace vlalign
