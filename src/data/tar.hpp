// Tar files as a list of byte ranges.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/input_file.hpp"

namespace vlalign {

struct TarMember {
  std::string name;
  std::int64_t offset;  ///< of its first byte in the tar file
  std::int64_t size;
};

struct OpenTar {
  std::unique_ptr<InputFile> file;
  bool unpacked;
};

/// Opens a tar file. One compressed with gzip, bzip2, xz, zstd or lz4 is unpacked into a file without a name in the
/// folder for temporary files ($TMPDIR), which is gone when closed.
/// Throws Error naming the file and the fault.
OpenTar open_tar(const std::filesystem::path& path);

/// The regular files in an uncompressed tar (ustar, pax and GNU headers), in their order; links are left out.
/// A tar that ends without its end mark, but between two members, gives a warning.
/// Throws Error naming the file and the fault when it is no tar, is damaged, or is cut off within a member.
std::vector<TarMember> list_tar(const InputFile& tar);

}  // namespace vlalign
