#include "data/sources/table_rows.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "core/utf8.hpp"
#include "data/sources/json_captions.hpp"

namespace vlalign {

TableRows::TableRows(const TableText& text, const TableLayout& layout)
    : table_(text),
      layout_(layout),
      cursor_(text, text.begin(), text.end()),
      columns_(cursor_, layout.columns.separator) {}

void TableRows::skip_header() {
  if (layout_.columns.has_header) columns_.next(fields_);
}

bool TableRows::next(TableRow& row) {
  if (!(layout_.json ? next_of_json(row) : next_of_columns(row))) return false;
  check(!trim(row.image).empty(), "the image path is empty");
  check(row.image.find('\0') == row.image.npos, "the image path holds a NUL byte");
  return true;
}

bool TableRows::next_of_columns(TableRow& row) {
  if (!columns_.next(fields_)) return false;
  const auto& columns = layout_.columns;
  check(fields_.size() == columns.count, "expected {} columns, found {}", columns.count, fields_.size());
  auto& caption = fields_[columns.caption];
  check(!trim(caption).empty(), "the caption is empty");
  check(is_utf8(caption), "the caption is not UTF-8");
  row.image.assign(fields_[columns.image]);
  row.captions.resize(1);
  row.captions.front().assign(caption);
  return true;
}

bool TableRows::next_of_json(TableRow& row) {
  do {
    line_begin_ = cursor_.offset();
    ++line_;
    if (!cursor_.next_line(text_)) return false;
  } while (trim(text_).empty());
  const auto record = parse_record(text_);
  check(record.is_object(), "expected a JSON object, found {}", record.type_name());
  const auto image = record.find(layout_.keys.image);
  auto path = image == record.end() ? std::nullopt : file_name_of(*image);
  check(path.has_value(), "no string \"{}\"", layout_.keys.image);
  row.image = *std::move(path);
  row.captions = captions_of(record, layout_.keys.caption);
  return true;
}

/// Of rows that are asked for one behind the other many are read at once.
void TableRows::go_to(RowPlace place) {
  constexpr std::int64_t near = 1 << 12, far = 1 << 16;
  const auto last = cursor_.offset(), end = place.end().value_or(table_.end());
  const bool follows = place.begin() >= last && place.begin() < last + near;
  cursor_.set_ahead(follows || !place.end() ? far : end - place.begin());
  cursor_.go_to(place.begin(), end);
}

void TableRows::read(RowPlace place, TableRow& row) {
  go_to(place);
  std::string why = "it begins or ends elsewhere";
  try {
    if (next(row) && RowPlace(begin(), end()).word() == place.word()) return;
  } catch (const UnreadableText&) {
    throw;
  } catch (const Error& error) {
    why = error.what();
  }
  table_.check_unchanged();
  fail("{}: no row at byte {} as there was when the table was opened: {}; open it again", table_.name(), place.begin(),
       why);
}

}  // namespace vlalign
