// A file of a run that grows by lines of JSON, one for each step or event. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/io/file_descriptor.hpp"

namespace vlalign {

/// The lines of steps up to `step`, a file that isn't there having none. Each line is an object with "step", which must
/// not fall, or must rise where `once`. A last line without an end was cut short by a kill and is left out.
std::string lines_up_to(const std::filesystem::path& file, std::int64_t step, bool once);

/// Appends lines, and outlives a full disk: what can't be written now is kept, told once, and written with the next
/// line for which there is room.
class LineLog {
 public:
  /// Opens the file with these lines in place of what was in it. Throws Error when it can't.
  LineLog(std::filesystem::path file, const std::string& lines);

  void append(const std::string& line);
  /// Throws Error while there are lines that could not be written.
  void check_written() const;

 private:
  void write_pending();

  std::filesystem::path file_;
  FileDescriptor open_;
  std::string pending_, fault_;
};

}  // namespace vlalign
