#include "remote/remote_file.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "remote/s3.hpp"

namespace vlalign {

bool is_remote(std::string_view location) {
  return location.starts_with("http://") || location.starts_with("https://") || is_s3(location);
}

RemoteFile::RemoteFile(const std::string& url) : RemoteFile(find_remote(url)) {}

RemoteFile::RemoteFile(RemoteObject object) : object_(std::move(object)) {}

void RemoteFile::read(std::int64_t offset, std::span<std::byte> bytes) const {
  const auto wanted = static_cast<std::int64_t>(bytes.size());
  check(offset >= 0 && offset <= size() && wanted <= size() - offset,
        "{}: ends after {} bytes, {} bytes at offset {} were expected", name(), size(), wanted, offset);
  auto* to = bytes.data();
  transfer_range(object_, offset, offset + wanted,
                 [&](std::span<const std::byte> came) { to = std::copy(came.begin(), came.end(), to); });
}

}  // namespace vlalign
