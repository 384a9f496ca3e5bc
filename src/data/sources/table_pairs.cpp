#include "data/sources/table_pairs.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/io/input_file.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "core/utf8.hpp"
#include "data/sources/bad_records.hpp"
#include "data/sources/csv.hpp"
#include "data/sources/json_captions.hpp"
#include "data/sources/pair_index.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// Collects rows into records, one an image path.
class RowCollector {
 public:
  explicit RowCollector(std::string name) : name_(std::move(name)) {}
  RowCollector(const RowCollector&) = delete;

  /// Reads a row by `read`, which calls add() and gives false where there is none; what it throws is that row's fault.
  bool take(const std::function<bool()>& read, const std::function<std::int64_t()>& line) {
    try {
      if (!read()) return false;
    } catch (const Error& error) {
      bad_.add(fmt::format("{}:{}: {}", name_, line(), error.what()));
    }
    ++rows_;
    return true;
  }

  void add(std::string_view image, std::span<const std::string> captions) {
    check(!trim(image).empty(), "the image path is empty");
    check(image.find('\0') == image.npos, "the image path holds a NUL byte");
    auto found = records_.find(image);
    if (found == records_.end()) found = records_.insert(index_.add_record(image)).first;
    for (const auto& caption : captions) index_.add_caption(*found, caption);
  }

  PairIndex finish(double max_bad) {
    bad_.check_share(name_ + ":", rows_, max_bad);
    check(index_.size() > 0, "{}: no pairs in it{}", name_, bad_.size() == 0 ? "" : "; " + bad_.faults().front());
    records_.clear();
    index_.finish();
    return std::move(index_);
  }

  const std::vector<std::string>& bad_records() const { return bad_.faults(); }

 private:
  // A set of record numbers that is searched by image path.
  struct Hash {
    using is_transparent = void;
    const PairIndex* index;
    std::size_t operator()(std::string_view path) const { return std::hash<std::string_view>()(path); }
    std::size_t operator()(std::int64_t record) const { return (*this)(index->name(record)); }
  };
  struct SamePath {
    using is_transparent = void;
    const PairIndex* index;
    std::string_view path(std::string_view path) const { return path; }
    std::string_view path(std::int64_t record) const { return index->name(record); }
    bool operator()(const auto& a, const auto& b) const { return path(a) == path(b); }
  };

  std::string name_;  // of the file
  PairIndex index_;
  std::unordered_set<std::int64_t, Hash, SamePath> records_{0, Hash{&index_}, SamePath{&index_}};
  BadRecords bad_;
  std::int64_t rows_ = 0;
};

struct Keys {
  std::string image, caption;
};

/// metadata.* and .jsonl use Hugging Face's names unless the user gave others.
Keys keys_of(const fs::path& file, const PairOptions& options) {
  const bool hugging_face = lower(file.extension().string()) == ".jsonl" || file.stem() == "metadata";
  return {options.image_key.value_or(hugging_face ? "file_name" : "filepath"),
          options.caption_key.value_or(hugging_face ? "text" : "title")};
}

/// How a table of columns is written.
struct Columns {
  char separator;
  bool has_header;
  std::size_t count, image, caption;
};

std::vector<std::string> first_row(const fs::path& file, char separator) {
  std::vector<std::string> row;
  try {
    CsvReader(file, separator).next(row);
  } catch (const Error&) {  // a quote that isn't closed: no header
    row.clear();
  }
  return row;
}

/// The columns that a header row names, or nothing.
std::optional<Columns> named_columns(const std::vector<std::string>& row, char separator, const Keys& keys) {
  const auto image = std::find(row.begin(), row.end(), keys.image);
  const auto caption = std::find(row.begin(), row.end(), keys.caption);
  if (image == row.end() || caption == row.end()) return std::nullopt;
  return Columns{separator, true, row.size(), static_cast<std::size_t>(image - row.begin()),
                 static_cast<std::size_t>(caption - row.begin())};
}

/// Whether a row is no header but a picture's path and a caption.
bool is_pair(const fs::path& file, const std::vector<std::string>& row, const Keys& keys) {
  if (row.size() != 2 || row[0] == keys.image || row[1] == keys.caption) return false;
  std::error_code ignored;
  return is_image_file(row[0]) || fs::is_regular_file(file.parent_path() / row[0], ignored);
}

/// What the options say, or what the first row is written with: first of all what the file's ending says.
Columns find_columns(const fs::path& file, const Keys& keys, const std::optional<char>& separator) {
  check(!separator || std::string_view("\"\r\n").find(*separator) == std::string_view::npos,
        "[open_pairs] separator: expected none of a quote and line ends");
  const bool commas = lower(file.extension().string()) == ".csv";
  const auto tried = separator ? std::string(1, *separator) : std::string(commas ? ",\t;" : "\t,;");
  std::vector<std::vector<std::string>> rows;
  for (const char one : tried) rows.push_back(first_row(file, one));
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (const auto columns = named_columns(rows[i], tried[i], keys)) return *columns;
  }
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (is_pair(file, rows[i], keys)) return {tried[i], false, 2, 0, 1};
  }
  fail("{}: expected the columns \"{}\" and \"{}\" (or no header and two columns: image path, caption), found {}",
       file.string(), keys.image, keys.caption, rows.front());
}

void read_delimited(const fs::path& file, const PairOptions& options, RowCollector& rows) {
  if (open_text(file).peek() == std::ifstream::traits_type::eof()) return;
  const auto columns = find_columns(file, keys_of(file, options), options.separator);
  CsvReader reader(file, columns.separator);
  std::vector<std::string> row;
  if (columns.has_header) reader.next(row);
  const auto read = [&] {
    if (!reader.next(row)) return false;
    check(row.size() == columns.count, "expected {} columns, found {}", columns.count, row.size());
    const auto& caption = row[columns.caption];
    check(!trim(caption).empty(), "the caption is empty");
    check(is_utf8(caption), "the caption is not UTF-8");
    rows.add(row[columns.image], {&caption, 1});
    return true;
  };
  while (rows.take(read, [&] { return reader.line(); })) {
  }
}

void read_json_lines(const fs::path& file, const PairOptions& options, RowCollector& rows) {
  const auto keys = keys_of(file, options);
  auto stream = open_text(file);
  std::string text;
  std::int64_t line = 0;
  const auto next = [&] { return ++line, next_line(stream, text); };
  const auto read = [&] {
    bool more = next();
    while (more && trim(text).empty()) more = next();
    if (!more) return false;
    const auto row = parse_record(text);
    check(row.is_object(), "expected a JSON object, found {}", row.type_name());
    const auto image = row.find(keys.image);
    const auto path = image == row.end() ? std::nullopt : file_name_of(*image);
    check(path.has_value(), "no string \"{}\"", keys.image);
    rows.add(*path, captions_of(row, keys.caption));
    return true;
  };
  while (rows.take(read, [&] { return line; })) {
  }
}

struct Table {
  PairIndex index;
  std::vector<std::string> bad;
};

Table read_table(const fs::path& file, const PairOptions& options) {
  RowCollector rows(file.string());
  lower(file.extension().string()) == ".jsonl" ? read_json_lines(file, options, rows)
                                               : read_delimited(file, options, rows);
  return {rows.finish(options.max_bad), rows.bad_records()};
}

class TablePairs : public PairSource {
 public:
  TablePairs(const fs::path& file, const PairOptions& options)
      : folder_(fs::absolute(file).parent_path()), table_(read_table(file, options)) {
    check_pictures(file);
  }

  std::int64_t size() const override { return table_.index.size(); }
  std::string name(std::int64_t record) const override { return path(record).string(); }
  std::vector<std::string> bad_records() const override { return table_.bad; }
  std::vector<std::string> captions(std::int64_t record) const override { return table_.index.captions(record); }
  Pair read(std::int64_t record) const override {
    const InputFile file(path(record));
    return {file.name(), captions(record), file.read(0, file.size())};
  }

 private:
  fs::path path(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
    return folder_ / table_.index.name(record);
  }

  void check_pictures(const fs::path& file) const {
    const auto looked_at = std::min<std::int64_t>(size(), 10);
    for (std::int64_t i = 0; i < looked_at; ++i) {
      std::error_code ignored;
      if (fs::exists(path(i), ignored)) return;
    }
    fail(
        "{}: none of the first {} pictures exists; the first, \"{}\", was looked for at {} (paths are relative to the "
        "file's folder, {})",
        file.string(), looked_at, table_.index.name(0), path(0).string(), folder_.string());
  }

  fs::path folder_;
  Table table_;
};

}  // namespace

bool is_table(const fs::path& file) {
  const auto type = lower(file.extension().string());
  return type == ".tsv" || type == ".csv" || type == ".jsonl";
}

std::shared_ptr<const PairSource> open_table(const fs::path& file, const PairOptions& options) {
  return std::make_shared<TablePairs>(file, options);
}

}  // namespace vlalign
