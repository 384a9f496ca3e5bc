// Tar files as a list of byte ranges.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/input_file.hpp"

namespace vlalign {

struct TarMember {
  std::string name;
  std::int64_t offset;  ///< of its first byte in the tar file
  std::int64_t size;
};

/// Calls `take` with the bytes that a file compressed with gzip, bzip2, xz, zstd or lz4 holds, a piece at a time.
/// False, and no call, for a file that isn't compressed. Throws Error naming the file and the fault.
bool unpack(const FileRange& file, const std::function<void(std::string_view bytes)>& take);

/// The regular files in an uncompressed tar (ustar, pax and GNU headers), in their order; links are left out.
/// A tar that ends without its end mark, but between two members, gives a warning.
/// Throws Error naming the file and the fault when it is no tar, is damaged, or is cut off within a member.
std::vector<TarMember> list_tar(const FileRange& tar);

}  // namespace vlalign
