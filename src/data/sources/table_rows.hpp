// The rows of a table, each a pair. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
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
  /// How many of them stand under each of the caption keys, in the keys' order. Empty where there are no keys.
  std::vector<std::size_t> counts;
};

class TableRows {
 public:
  /// Stands at the table's first row, which may be a header. Text and layout must outlive this.
  TableRows(const TableText& text, const TableLayout& layout);

  void skip_header();

  /// The next one that the layout's filter takes, false at the end. Throws Error that says what is wrong with a row,
  /// and then reads on behind it.
  bool next(TableRow& row);

  /// How many were passed over so far, since the filter doesn't take them.
  std::int64_t passed_over() const { return passed_over_; }

  /// The row at a place where next() found one, whatever the filter. Throws Error when there is none now.
  void read(RowPlace place, TableRow& row);

  /// Where the last row, or the faulty one, began: its line and its first byte. And the first byte behind a good one.
  std::int64_t line() const { return layout_.json ? line_ : columns_.line(); }
  std::int64_t begin() const { return layout_.json ? line_begin_ : columns_.offset(); }
  std::int64_t end() const { return cursor_.offset(); }

 private:
  void go_to(RowPlace place);
  bool next_record();
  bool next_fields();
  bool next_object();
  bool is_taken();
  void get(TableRow& row);
  void get_of_columns(TableRow& row) const;
  void get_of_json(TableRow& row) const;
  void get_under_keys(TableRow& row) const;
  std::vector<std::string> captions_under(std::size_t key) const;

  const TableText& table_;
  const TableLayout& layout_;
  TextCursor cursor_;
  CsvReader columns_;
  std::vector<std::string> fields_;
  std::string text_;       // of a line
  nlohmann::json record_;  // of that; of columns what the filter looks at
  std::int64_t line_ = 0, line_begin_ = 0;
  std::int64_t passed_over_ = 0;
};

}  // namespace vlalign
