#include "data/sources/table_layout.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "data/sources/caption_keys.hpp"
#include "data/sources/csv.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

using Row = std::vector<std::string>;

Row first_row(const TableText& text, char separator) {
  TextCursor cursor(text, text.begin(), text.end());
  Row row;
  try {
    CsvReader(cursor, separator).next(row);
  } catch (const UnreadableText&) {
    throw;
  } catch (const Error&) {  // a quote that isn't closed: no header
    row.clear();
  }
  return row;
}

/// The column of this name, or nothing.
std::optional<std::size_t> column_of(const Row& header, const std::string& name) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header.begin());
}

/// Names of columns with captions: those of the keys, or the usual one.
Row caption_names(const TableLayout& layout) {
  Row names;
  for (const auto& key : layout.caption_keys) names.push_back(key.key);
  if (names.empty()) names.push_back(layout.keys.caption);
  return names;
}

/// The columns that a header row names, or nothing.
std::optional<TableColumns> named_columns(const Row& header, char separator, const TableLayout& layout) {
  const auto image = column_of(header, layout.keys.image);
  if (!image) return std::nullopt;
  std::vector<std::size_t> captions;
  for (const auto& name : caption_names(layout)) {
    const auto column = column_of(header, name);
    if (!column) return std::nullopt;
    captions.push_back(*column);
  }
  TableColumns columns{separator, true, header.size(), *image, captions.front(), {}, {}};
  if (!layout.caption_keys.empty()) columns.under_keys = std::move(captions);
  return columns;
}

/// Those that a condition is about.
std::vector<std::size_t> compared_columns(const fs::path& file, const Row& header, const RecordFilter& filter) {
  std::vector<std::size_t> columns;
  for (const auto& field : filter.fields()) {
    const auto column = column_of(header, field);
    check(column.has_value(), "{}: where: expected columns of this table, found \"{}\", which is none of {}",
          file.string(), field, header);
    columns.push_back(*column);
  }
  return columns;
}

/// Whether a row is no header but a picture's path and a caption.
bool is_pair(const fs::path& file, const Row& row, const TableKeys& keys) {
  if (row.size() != 2 || row[0] == keys.image || row[1] == keys.caption) return false;
  std::error_code ignored;
  return is_image_file(row[0]) || fs::is_regular_file(file.parent_path() / row[0], ignored);
}

/// Names of columns can only be of a header.
void check_needs_no_header(const fs::path& file, const TableLayout& layout) {
  constexpr auto expected = "{}: {}: expected a table with a header that names its columns, found none";
  check(!layout.filter, expected, file.string(), "where");
  check(layout.caption_keys.empty(), expected, file.string(), "caption keys");
}

[[noreturn]] void fail_no_columns(const fs::path& file, const TableLayout& layout, const Row& found) {
  if (layout.caption_keys.empty()) {
    fail("{}: expected the columns \"{}\" and \"{}\" (or no header and two columns: image path, caption), found {}",
         file.string(), layout.keys.image, layout.keys.caption, found);
  }
  fail("{}: expected the column \"{}\" and, for the caption keys, {}, found {}", file.string(), layout.keys.image,
       names_of(layout.caption_keys), found);
}

/// What the options say, or what the first row is written with: first of all what the file's ending says.
TableColumns find_columns(const fs::path& file, const TableText& text, const TableLayout& layout,
                          const std::optional<char>& separator) {
  check(!separator || std::string_view("\"\r\n").find(*separator) == std::string_view::npos,
        "[open_pairs] separator: expected none of a quote and line ends");
  const bool commas = lower(file.extension().string()) == ".csv";
  const auto tried = separator ? std::string(1, *separator) : std::string(commas ? ",\t;" : "\t,;");
  std::vector<Row> rows;
  for (const char one : tried) rows.push_back(first_row(text, one));
  for (std::size_t i = 0; i < tried.size(); ++i) {
    auto columns = named_columns(rows[i], tried[i], layout);
    if (columns && layout.filter) columns->compared = compared_columns(file, rows[i], *layout.filter);
    if (columns) return *std::move(columns);
  }
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (!is_pair(file, rows[i], layout.keys)) continue;
    check_needs_no_header(file, layout);
    return {tried[i], false, 2, 0, 1, {}, {}};
  }
  const auto has_image = [&](const Row& row) { return column_of(row, layout.keys.image).has_value(); };
  const auto header = std::find_if(rows.begin(), rows.end(), has_image);
  fail_no_columns(file, layout, header == rows.end() ? rows.front() : *header);
}

bool is_json_lines(const fs::path& file) { return lower(file.extension().string()) == ".jsonl"; }

}  // namespace

/// metadata.* and .jsonl use Hugging Face's names unless the user gave others.
TableKeys keys_of(const fs::path& file, const PairOptions& options) {
  const bool hugging_face = is_json_lines(file) || file.stem() == "metadata";
  return {options.image_key.value_or(hugging_face ? "file_name" : "filepath"),
          options.caption_key.value_or(hugging_face ? "text" : "title")};
}

TableLayout named_layout(const fs::path& file, const PairOptions& options) {
  if (!options.caption_keys.empty()) check_caption_keys(options.caption_keys);
  TableLayout layout{.json = is_json_lines(file),
                     .keys = keys_of(file, options),
                     .caption_keys = options.caption_keys,
                     .filter = nullptr,
                     .columns = {}};
  if (!options.where.empty()) layout.filter = std::make_shared<const RecordFilter>(options.where);
  return layout;
}

TableLayout find_layout(const fs::path& file, const TableText& text, const PairOptions& options) {
  auto layout = named_layout(file, options);
  const bool is_empty = text.begin() == text.end();
  if (!layout.json && !is_empty) layout.columns = find_columns(file, text, layout, options.separator);
  return layout;
}

}  // namespace vlalign
