// Rows of comma- or tab-separated text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/sources/text_cursor.hpp"

namespace vlalign {

/// Reads rows as pandas.read_csv does, whatever the delimiter: RFC 4180 quotes (a quoted field may hold delimiters,
/// line ends and doubled quotes), a quote inside an unquoted field is text, text after a closing quote is kept, blank
/// lines are skipped. Lines end with LF, CRLF or CR; inside quotes each comes as LF. Rows whose fields are all blank
/// are skipped too.
class CsvReader {
 public:
  /// Reads on from where the cursor, whose line counts as the first, stands at.
  CsvReader(TextCursor& text, char delimiter) : text_(text), delimiter_(delimiter) {}

  /// The next row, or false at the end. Throws Error on a quote that is never closed, and, unlike pandas, on text after
  /// the closing quote of a field of several lines: that is a stray quote which would swallow rows. The row after is
  /// then the one on the line below that quote.
  bool next(std::vector<std::string>& fields);

  /// Where the last row, or the faulty one, began: its line, counted from 1, and its first byte.
  std::int64_t line() const { return row_.line; }
  std::int64_t offset() const { return row_.offset; }

 private:
  struct Place {
    std::int64_t offset = 0, line = 1;
  };

  Place here() const { return {text_.offset(), line_}; }
  int get();
  bool at_field_end();
  void read_field(std::string& field);
  void read_quoted(std::string& field);
  bool read_to_closing_quote(std::string& field, std::size_t most);
  void go_to(const Place& place);
  void go_behind_line(const Place& place);

  TextCursor& text_;
  char delimiter_;
  std::int64_t line_ = 1;
  Place row_;
};

}  // namespace vlalign
