// Rows of comma- or tab-separated text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace vlalign {

/// Reads rows as pandas.read_csv does, whatever the delimiter: RFC 4180 quotes (a quoted field may hold delimiters,
/// line ends and doubled quotes), a quote inside an unquoted field is text, text after a closing quote is kept, blank
/// lines are skipped. Lines end with LF, CRLF or CR; inside quotes each comes as LF. Rows whose fields are all blank
/// are skipped too.
class CsvReader {
 public:
  /// Throws Error when the file can't be read.
  CsvReader(const std::filesystem::path& path, char delimiter);

  /// The next row, or false at the end. Throws Error on a quote that is never closed, and, unlike pandas, on text after
  /// the closing quote of a field of several lines: that is a stray quote which would swallow rows. The row after is
  /// then the one on the line below that quote.
  bool next(std::vector<std::string>& fields);

  /// Where the last row, or the faulty one, began, counted from 1.
  std::int64_t line() const { return row_line_; }

 private:
  struct Place {
    std::int64_t offset = 0, line = 1;
  };

  int get();
  bool at_field_end();
  void read_field(std::string& field);
  void read_quoted(std::string& field);
  void go_behind_line(const Place& place);

  std::ifstream stream_;
  char delimiter_;
  Place at_;
  std::int64_t row_line_ = 1;
};

}  // namespace vlalign
