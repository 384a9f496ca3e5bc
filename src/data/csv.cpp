#include "data/csv.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "data/input_file.hpp"

namespace vlalign {
namespace {

constexpr int end_of_file = std::char_traits<char>::eof();

bool is_blank(const std::string& field) { return field.find_first_not_of(" \t") == field.npos; }

}  // namespace

CsvReader::CsvReader(const std::filesystem::path& path, char delimiter)
    : name_(path.string()), stream_(open_text(path)), delimiter_(delimiter) {}

bool CsvReader::next(std::vector<std::string>& fields) {
  auto& buffer = *stream_.rdbuf();
  while (buffer.sgetc() != end_of_file) {
    row_line_ = line_;
    fields.clear();
    do {
      read_field(fields.emplace_back());
    } while (get() == delimiter_);
    if (!std::all_of(fields.begin(), fields.end(), is_blank)) return true;
  }
  return false;
}

/// One character; every kind of line end comes as '\n' and counts a line.
int CsvReader::get() {
  auto& buffer = *stream_.rdbuf();
  int c = buffer.sbumpc();
  if (c == '\r') {
    if (buffer.sgetc() == '\n') buffer.sbumpc();
    c = '\n';
  }
  if (c == '\n') ++line_;
  return c;
}

bool CsvReader::at_field_end() {
  const int c = stream_.rdbuf()->sgetc();
  return c == delimiter_ || c == '\n' || c == '\r' || c == end_of_file;
}

void CsvReader::read_field(std::string& field) {
  if (stream_.rdbuf()->sgetc() == '"') read_quoted(field);
  while (!at_field_end()) field.push_back(static_cast<char>(get()));
}

void CsvReader::read_quoted(std::string& field) {
  const auto opened = line_;
  get();
  for (;;) {
    const int c = get();
    check(c != end_of_file,
          "{}: the quote that opens a field on line {} is never closed; write a quote as \"\" inside quotes", name_,
          opened);
    if (c == '"' && stream_.rdbuf()->sgetc() != '"') break;
    if (c == '"') get();
    field.push_back(static_cast<char>(c));
  }
  check(line_ == opened || at_field_end(),
        "{}: the quote that opens a field on line {} closes in the middle of a field on line {}; quote the whole field "
        "and "
        "write a quote as \"\" inside",
        name_, opened, line_);
}

}  // namespace vlalign
