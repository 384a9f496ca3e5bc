#include "data/sources/csv.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace vlalign {
namespace {

bool is_blank(const std::string& field) { return field.find_first_not_of(" \t") == field.npos; }

}  // namespace

bool CsvReader::next(std::vector<std::string>& fields) {
  while (text_.peek() != TextCursor::none) {
    row_ = here();
    fields.clear();
    do {
      read_field(fields.emplace_back());
    } while (get() == static_cast<unsigned char>(delimiter_));
    if (!std::all_of(fields.begin(), fields.end(), is_blank)) return true;
  }
  return false;
}

/// One character; every kind of line end comes as '\n' and counts a line.
int CsvReader::get() {
  int c = text_.get();
  if (c == '\r') {
    if (text_.peek() == '\n') text_.get();
    c = '\n';
  }
  if (c == '\n') ++line_;
  return c;
}

bool CsvReader::at_field_end() {
  const int c = text_.peek();
  return c == static_cast<unsigned char>(delimiter_) || c == '\n' || c == '\r' || c == TextCursor::none;
}

void CsvReader::read_field(std::string& field) {
  if (text_.peek() == '"') read_quoted(field);
  text_.append_until([delimiter = delimiter_](char c) { return c == delimiter || c == '\n' || c == '\r'; }, field);
}

/// A stray quote may reach to the end of a file that is larger than memory. So text is kept only until it is long, and
/// read again where the quote turns out to be none.
void CsvReader::read_quoted(std::string& field) {
  constexpr std::size_t long_text = 1 << 20;
  const auto opened = here();
  const bool is_whole = read_to_closing_quote(field, long_text);
  if (line_ == opened.line || at_field_end()) {
    if (is_whole) return;
    go_to(opened);
    field.clear();
    read_to_closing_quote(field, field.max_size());
    return;
  }
  const auto closed = line_;
  go_behind_line(opened);
  fail(
      "the quote that opens a field on line {} closes in the middle of a field on line {}; quote the whole field and "
      "write a quote as \"\" inside",
      opened.line, closed);
}

/// Whether the field is whole: text of more bytes is not kept.
bool CsvReader::read_to_closing_quote(std::string& field, std::size_t most) {
  const auto opened = here();
  bool is_whole = true;
  get();
  for (;;) {
    text_.append_until([](char c) { return c == '"' || c == '\n' || c == '\r'; }, field);
    const int c = get();
    if (c == TextCursor::none) {
      go_behind_line(opened);
      fail("the quote that opens a field on line {} is never closed; write a quote as \"\" inside quotes", opened.line);
    }
    if (c == '"' && text_.peek() != '"') return is_whole;
    if (c == '"') get();
    field.push_back(static_cast<char>(c));
    if (field.size() > most) field.clear(), is_whole = false;
  }
}

void CsvReader::go_to(const Place& place) {
  text_.go_to(place.offset);
  line_ = place.line;
}

void CsvReader::go_behind_line(const Place& place) {
  go_to(place);
  for (int c = get(); c != TextCursor::none && c != '\n';) c = get();
}

}  // namespace vlalign
