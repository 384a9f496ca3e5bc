// The bytes of a table. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/io/input_file.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {

/// What changes with a file's contents; `changed_ns` also when it gets another name or owner.
struct FileStamp {
  std::int64_t size = 0, modified_ns = 0, changed_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

/// The text itself can't be had, whatever stands in it.
class UnreadableText : public Error {
 public:
  using Error::Error;
};

/// A table's text as it was when it was opened. Several threads may read it.
class TableText {
 public:
  /// A table of fewer than `large` bytes is held in memory, of a larger one the file stays open. Throws Error when it
  /// can't be read, or is UTF-16.
  TableText(const std::filesystem::path& file, std::int64_t large);

  const std::string& name() const { return name_; }
  bool is_large() const { return file_ != nullptr; }
  const FileStamp& stamp() const { return stamp_; }
  std::int64_t begin() const { return begin_; }  ///< behind a byte order mark
  std::int64_t end() const { return stamp_.size; }

  /// The bytes from `offset` on, `size` of them or those that there are. They may stand in `buffer`. Throws
  /// UnreadableText.
  std::string_view read(std::int64_t offset, std::int64_t size, std::string& buffer) const;

  /// Throws UnreadableText when the open file was written to since. To be called after reading.
  void check_unchanged() const;

 private:
  std::string name_;
  std::unique_ptr<const InputFile> file_;  // none where the text is in memory
  FileStamp stamp_;
  std::string text_;
  std::int64_t begin_ = 0;
};

}  // namespace vlalign
