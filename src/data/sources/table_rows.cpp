#include "data/sources/table_rows.hpp"

#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "core/utf8.hpp"
#include "data/sources/caption_keys.hpp"
#include "data/sources/json_captions.hpp"

namespace vlalign {
namespace {

/// What a condition compares: nothing of an empty field, and text, which is none to parse_record() either unless it is
/// UTF-8.
nlohmann::json value_of(const std::string& field) {
  if (field.empty()) return nullptr;
  if (!is_utf8(field)) return nlohmann::json::binary({field.begin(), field.end()});
  return field;
}

}  // namespace

TableRows::TableRows(const TableText& text, const TableLayout& layout)
    : table_(text),
      layout_(layout),
      cursor_(text, text.begin(), text.end()),
      columns_(cursor_, layout.columns.separator) {}

void TableRows::skip_header() {
  if (layout_.columns.has_header) columns_.next(fields_);
}

bool TableRows::next(TableRow& row) {
  for (; next_record(); ++passed_over_) {
    if (layout_.filter && !is_taken()) continue;
    get(row);
    return true;
  }
  return false;
}

bool TableRows::next_record() { return layout_.json ? next_object() : next_fields(); }

bool TableRows::next_fields() {
  if (!columns_.next(fields_)) return false;
  const auto expected = layout_.columns.count;
  check(fields_.size() == expected, "expected {} columns, found {}", expected, fields_.size());
  return true;
}

bool TableRows::next_object() {
  do {
    line_begin_ = cursor_.offset();
    ++line_;
    if (!cursor_.next_line(text_)) return false;
  } while (trim(text_).empty());
  record_ = parse_record(text_);
  check(record_.is_object(), "expected a JSON object, found {}", record_.type_name());
  return true;
}

bool TableRows::is_taken() {
  const auto& filter = *layout_.filter;
  for (std::size_t i = 0; !layout_.json && i < filter.fields().size(); ++i) {
    record_[filter.fields()[i]] = value_of(fields_[layout_.columns.compared[i]]);
  }
  return filter.takes(record_);
}

void TableRows::get(TableRow& row) {
  layout_.json ? get_of_json(row) : get_of_columns(row);
  check(!trim(row.image).empty(), "the image path is empty");
  check(row.image.find('\0') == row.image.npos, "the image path holds a NUL byte");
}

void TableRows::get_of_columns(TableRow& row) const {
  const auto& columns = layout_.columns;
  row.image.assign(fields_[columns.image]);
  if (!layout_.caption_keys.empty()) return get_under_keys(row);
  const auto& caption = fields_[columns.caption];
  check(!trim(caption).empty(), "the caption is empty");
  check(is_utf8(caption), "the caption is not UTF-8");
  row.captions.resize(1);
  row.captions.front().assign(caption);
}

void TableRows::get_of_json(TableRow& row) const {
  const auto image = record_.find(layout_.keys.image);
  auto path = image == record_.end() ? std::nullopt : file_name_of(*image);
  check(path.has_value(), "no string \"{}\"", layout_.keys.image);
  row.image = *std::move(path);
  if (!layout_.caption_keys.empty()) return get_under_keys(row);
  row.captions = captions_of(record_, layout_.keys.caption);
}

void TableRows::get_under_keys(TableRow& row) const {
  row.captions.clear();
  row.counts.clear();
  for (std::size_t key = 0; key < layout_.caption_keys.size(); ++key) {
    auto captions = captions_under(key);
    row.counts.push_back(captions.size());
    std::move(captions.begin(), captions.end(), std::back_inserter(row.captions));
  }
  check(!row.captions.empty(), "no caption under any of {}", names_of(layout_.caption_keys));
}

/// Those of one key that aren't blank.
std::vector<std::string> TableRows::captions_under(std::size_t key) const {
  const auto& name = layout_.caption_keys[key].key;
  if (layout_.json) return find_captions(record_, name);
  const auto& caption = fields_[layout_.columns.under_keys[key]];
  if (trim(caption).empty()) return {};
  check(is_utf8(caption), "the caption under \"{}\" is not UTF-8", name);
  return {caption};
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
    const bool is_there = next_record();
    if (is_there) get(row);
    if (is_there && RowPlace(begin(), end()).word() == place.word()) return;
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
