#include "remote/download.hpp"

#include "core/check.hpp"
#include "remote/remote_error.hpp"

namespace vlalign {

void download(const std::string& url, const TakeBytes& take) { transfer_rest({url, {}}, 0, take); }

std::string read_remote(const std::string& url, std::int64_t most_bytes) {
  std::string all;
  download(url, [&](std::span<const std::byte> bytes) {
    check(static_cast<std::int64_t>(all.size() + bytes.size()) <= most_bytes, "{}: is longer than {} bytes", url,
          most_bytes);
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  });
  return all;
}

std::optional<std::string> read_remote_if_there(const std::string& url, std::int64_t most_bytes) {
  try {
    return read_remote(url, most_bytes);
  } catch (const RemoteError& error) {
    if (error.status() == 404 || error.status() == 410 || error.status() == 403) return std::nullopt;
    throw;
  }
}

}  // namespace vlalign
