// The rows of a table, each a pair. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sources/csv.hpp"
#include "data/sources/row_place.hpp"
#include "data/sources/table_layout.hpp"
#include "data/sources/text_cursor.hpp"

namespace vlalign {

struct TableRow {
  std::string image;
  std::vector<std::string> captions;  // at least one
};

class TableRows {
 public:
  /// Stands at the table's first row, which may be a header. Text and layout must outlive this.
  TableRows(const TableText& text, const TableLayout& layout);

  void skip_header();

  /// False at the end. Throws Error that says what is wrong with a row, and then reads on behind it.
  bool next(TableRow& row);

  /// The row at a place where next() found one. Throws Error when there is none now.
  void read(RowPlace place, TableRow& row);

  /// Where the last row, or the faulty one, began: its line and its first byte. And the first byte behind a good one.
  std::int64_t line() const { return layout_.json ? line_ : columns_.line(); }
  std::int64_t begin() const { return layout_.json ? line_begin_ : columns_.offset(); }
  std::int64_t end() const { return cursor_.offset(); }

 private:
  void go_to(RowPlace place);
  bool next_of_columns(TableRow& row);
  bool next_of_json(TableRow& row);

  const TableText& table_;
  const TableLayout& layout_;
  TextCursor cursor_;
  CsvReader columns_;
  std::vector<std::string> fields_;
  std::string text_;  // of a line
  std::int64_t line_ = 0, line_begin_ = 0;
};

}  // namespace vlalign
