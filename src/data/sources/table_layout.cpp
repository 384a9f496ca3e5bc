#include "data/sources/table_layout.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "data/sources/csv.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> first_row(const TableText& text, char separator) {
  TextCursor cursor(text, text.begin(), text.end());
  std::vector<std::string> row;
  try {
    CsvReader(cursor, separator).next(row);
  } catch (const UnreadableText&) {
    throw;
  } catch (const Error&) {  // a quote that isn't closed: no header
    row.clear();
  }
  return row;
}

/// The columns that a header row names, or nothing.
std::optional<TableColumns> named_columns(const std::vector<std::string>& row, char separator, const TableKeys& keys) {
  const auto image = std::find(row.begin(), row.end(), keys.image);
  const auto caption = std::find(row.begin(), row.end(), keys.caption);
  if (image == row.end() || caption == row.end()) return std::nullopt;
  return TableColumns{separator, true, row.size(), static_cast<std::size_t>(image - row.begin()),
                      static_cast<std::size_t>(caption - row.begin())};
}

/// Whether a row is no header but a picture's path and a caption.
bool is_pair(const fs::path& file, const std::vector<std::string>& row, const TableKeys& keys) {
  if (row.size() != 2 || row[0] == keys.image || row[1] == keys.caption) return false;
  std::error_code ignored;
  return is_image_file(row[0]) || fs::is_regular_file(file.parent_path() / row[0], ignored);
}

/// What the options say, or what the first row is written with: first of all what the file's ending says.
TableColumns find_columns(const fs::path& file, const TableText& text, const TableKeys& keys,
                          const std::optional<char>& separator) {
  check(!separator || std::string_view("\"\r\n").find(*separator) == std::string_view::npos,
        "[open_pairs] separator: expected none of a quote and line ends");
  const bool commas = lower(file.extension().string()) == ".csv";
  const auto tried = separator ? std::string(1, *separator) : std::string(commas ? ",\t;" : "\t,;");
  std::vector<std::vector<std::string>> rows;
  for (const char one : tried) rows.push_back(first_row(text, one));
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (const auto columns = named_columns(rows[i], tried[i], keys)) return *columns;
  }
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (is_pair(file, rows[i], keys)) return {tried[i], false, 2, 0, 1};
  }
  fail("{}: expected the columns \"{}\" and \"{}\" (or no header and two columns: image path, caption), found {}",
       file.string(), keys.image, keys.caption, rows.front());
}

}  // namespace

bool is_json_lines(const fs::path& file) { return lower(file.extension().string()) == ".jsonl"; }

/// metadata.* and .jsonl use Hugging Face's names unless the user gave others.
TableKeys keys_of(const fs::path& file, const PairOptions& options) {
  const bool hugging_face = is_json_lines(file) || file.stem() == "metadata";
  return {options.image_key.value_or(hugging_face ? "file_name" : "filepath"),
          options.caption_key.value_or(hugging_face ? "text" : "title")};
}

TableLayout find_layout(const fs::path& file, const TableText& text, const PairOptions& options) {
  TableLayout layout{.json = is_json_lines(file), .keys = keys_of(file, options), .columns = {}};
  const bool is_empty = text.begin() == text.end();
  if (!layout.json && !is_empty) layout.columns = find_columns(file, text, layout.keys, options.separator);
  return layout;
}

}  // namespace vlalign
