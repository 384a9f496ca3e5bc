// A file of lines that grows while it is read. Internal.
#pragma once

#include <filesystem>
#include <functional>
#include <ios>
#include <string_view>

namespace vlalign {

/// The lines that a file has gained since it was last asked.
class NewLines {
 public:
  explicit NewLines(std::filesystem::path file) : file_(std::move(file)) {}

  /// Calls visit(line, number) for each whole line, numbered from 1; one without an end waits until it has one. Nothing
  /// where there is no file. Throws Error where it can't be read.
  void read(const std::function<void(std::string_view line, int number)>& visit);

  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
  std::streamoff read_ = 0;
  int lines_ = 0;
};

}  // namespace vlalign
