#include "data/sources/csv.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/io/input_file.hpp"

namespace vlalign {
namespace {

constexpr int end_of_file = std::char_traits<char>::eof();

bool is_blank(const std::string& field) { return field.find_first_not_of(" \t") == field.npos; }

}  // namespace

CsvReader::CsvReader(const std::filesystem::path& path, char delimiter)
    : stream_(open_text(path)), delimiter_(delimiter), at_{.offset = stream_.tellg()} {}

bool CsvReader::next(std::vector<std::string>& fields) {
  auto& buffer = *stream_.rdbuf();
  while (buffer.sgetc() != end_of_file) {
    row_line_ = at_.line;
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
  if (c == end_of_file) return c;
  ++at_.offset;
  if (c == '\r') {
    if (buffer.sgetc() == '\n') buffer.sbumpc(), ++at_.offset;
    c = '\n';
  }
  if (c == '\n') ++at_.line;
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
  const auto opened = at_;
  get();
  for (;;) {
    const int c = get();
    if (c == end_of_file) {
      go_behind_line(opened);
      fail("the quote that opens a field on line {} is never closed; write a quote as \"\" inside quotes", opened.line);
    }
    if (c == '"' && stream_.rdbuf()->sgetc() != '"') break;
    if (c == '"') get();
    field.push_back(static_cast<char>(c));
  }
  if (at_.line == opened.line || at_field_end()) return;
  const auto closed = at_.line;
  go_behind_line(opened);
  fail(
      "the quote that opens a field on line {} closes in the middle of a field on line {}; quote the whole field and "
      "write a quote as \"\" inside",
      opened.line, closed);
}

void CsvReader::go_behind_line(const Place& place) {
  stream_.rdbuf()->pubseekpos(place.offset);
  at_ = place;
  for (int c = get(); c != end_of_file && c != '\n';) c = get();
}

}  // namespace vlalign
