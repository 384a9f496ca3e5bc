// A file read at any offset by several threads, and text files opened with care.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vlalign {

class InputFile {
 public:
  /// Throws Error when the path isn't a regular file or can't be opened.
  explicit InputFile(const std::filesystem::path& path);
  /// Takes over an open descriptor; `name` is what messages call it.
  InputFile(int descriptor, std::string name);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::string& name() const { return name_; }
  int descriptor() const { return descriptor_; }
  std::int64_t size() const;

  /// Exactly `size` bytes from `offset`; throws Error when the file ends earlier.
  std::vector<std::byte> read(std::int64_t offset, std::int64_t size) const;
  void read(std::int64_t offset, std::span<std::byte> bytes) const;

 private:
  std::string name_;
  int descriptor_;
};

/// A file, or a part of one that holds several.
struct FileRange {
  std::shared_ptr<const InputFile> file;
  std::string name;  ///< what messages call it
  std::int64_t begin = 0;
  std::int64_t size = 0;

  /// As InputFile's.
  std::vector<std::byte> read(std::int64_t offset, std::int64_t bytes) const;
  void read(std::int64_t offset, std::span<std::byte> bytes) const;

 private:
  void check_holds(std::int64_t offset, std::int64_t bytes) const;
};

FileRange whole_file(const std::filesystem::path& path);

/// Opens a UTF-8 text file and steps over a byte order mark.
/// Throws Error when it can't be read, or is UTF-16.
std::ifstream open_text(const std::filesystem::path& path);

/// The next line of a text, without its end: LF, CRLF or CR. False behind the last.
bool next_line(std::istream& text, std::string& line);

}  // namespace vlalign
