#include "eval/new_lines.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "core/check.hpp"
#include "core/io/files.hpp"

namespace vlalign {

void NewLines::read(const std::function<void(std::string_view line, int number)>& visit) {
  if (!is_there(file_)) return;
  std::ifstream stream(file_, std::ios::binary);
  stream.seekg(read_);
  check(stream.good(), "{}: cannot read: {}", file_.string(), std::strerror(errno));
  std::string line;
  while (std::getline(stream, line) && !stream.eof()) {
    visit(line, ++lines_);
    read_ += std::ssize(line) + 1;
  }
  check(!stream.bad(), "{}: cannot read: {}", file_.string(), std::strerror(errno));
}

}  // namespace vlalign
