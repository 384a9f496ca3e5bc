// Files read at any offset by several threads, and text files opened with care.
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

/// Bytes that several threads may read at any offset: a file's, or those of one on another machine.
class RandomAccess {
 public:
  RandomAccess() = default;
  RandomAccess(const RandomAccess&) = delete;
  RandomAccess& operator=(const RandomAccess&) = delete;
  virtual ~RandomAccess() = default;

  virtual const std::string& name() const = 0;  ///< what messages call it
  virtual std::int64_t size() const = 0;
  /// Exactly as many bytes from `offset`; throws Error when it ends earlier.
  virtual void read(std::int64_t offset, std::span<std::byte> bytes) const = 0;
  std::vector<std::byte> read(std::int64_t offset, std::int64_t size) const;
};

class InputFile : public RandomAccess {
 public:
  /// Throws Error when the path isn't a regular file or can't be opened.
  explicit InputFile(const std::filesystem::path& path);
  /// Takes over an open descriptor; `name` is what messages call it.
  InputFile(int descriptor, std::string name);
  ~InputFile() override;

  const std::string& name() const override { return name_; }
  int descriptor() const { return descriptor_; }
  std::int64_t size() const override;

  using RandomAccess::read;
  void read(std::int64_t offset, std::span<std::byte> bytes) const override;

 private:
  std::string name_;
  int descriptor_;
};

/// A file, or a part of one that holds several.
struct FileRange {
  std::shared_ptr<const RandomAccess> file;
  std::string name;  ///< what messages call it
  std::int64_t begin = 0;
  std::int64_t size = 0;

  /// As RandomAccess's.
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
