#pragma once

#include <filesystem>
#include <span>
#include <string>

struct archive;

namespace tabletop::tool {

/// Writes a tar file. The same members give the same bytes.
class TarWriter {
 public:
  explicit TarWriter(const std::filesystem::path& path);
  ~TarWriter();
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  /// Throws Error naming the file and the system's reason, as close does.
  void add(const std::string& name, std::span<const std::byte> contents);
  void close();  ///< writes the end; without it the file is none

 private:
  void check(bool holds) const;

  std::filesystem::path path_;
  archive* archive_;
};

}  // namespace tabletop::tool
