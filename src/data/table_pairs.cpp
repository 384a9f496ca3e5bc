#include "data/table_pairs.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/check.hpp"
#include "core/json_reason.hpp"
#include "core/log.hpp"
#include "data/csv.hpp"
#include "data/input_file.hpp"
#include "data/pair_index.hpp"
#include "data/text.hpp"
#include "vlalign/data/image.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Collects rows into records, one an image path.
class RowCollector {
 public:
  explicit RowCollector(std::string name) : name_(std::move(name)) {}
  RowCollector(const RowCollector&) = delete;

  void add(std::int64_t line, std::string_view image, std::string_view caption) {
    check(!image.empty(), "{}:{}: the image path is empty", name_, line);
    if (trim(caption).empty()) {
      if (blank_++ == 0) first_blank_line_ = line;
      return;
    }
    auto found = records_.find(image);
    if (found == records_.end()) found = records_.insert(index_.add_record(image)).first;
    index_.add_caption(*found, caption);
  }

  PairIndex finish() {
    if (blank_ > 0) {
      log_warning("{}: {} captions are empty and skipped, the first on line {}", name_, blank_, first_blank_line_);
    }
    check(index_.size() > 0, "{}: no pairs in it", name_);
    records_.clear();
    index_.finish();
    return std::move(index_);
  }

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
  std::int64_t blank_ = 0;
  std::int64_t first_blank_line_ = 0;
};

/// metadata.* and .jsonl use Hugging Face's names unless the user gave others.
PairOptions huggingface_keys(PairOptions options) {
  const PairOptions defaults;
  if (options.image_key == defaults.image_key) options.image_key = "file_name";
  if (options.caption_key == defaults.caption_key) options.caption_key = "text";
  return options;
}

struct Columns {
  std::size_t count, image, caption;
};

/// The columns a header row names, or nothing when the row is no header but a path and a caption.
std::optional<Columns> find_columns(const fs::path& file, const std::vector<std::string>& row,
                                    const PairOptions& keys) {
  const auto image = std::find(row.begin(), row.end(), keys.image_key);
  const auto caption = std::find(row.begin(), row.end(), keys.caption_key);
  if (image != row.end() && caption != row.end()) {
    return Columns{row.size(), static_cast<std::size_t>(image - row.begin()),
                   static_cast<std::size_t>(caption - row.begin())};
  }
  std::error_code ignored;
  const bool names_a_picture =
      row.size() == 2 && (is_image_file(row[0]) || fs::is_regular_file(file.parent_path() / row[0], ignored));
  check(names_a_picture && image == row.end() && caption == row.end(),
        "{}: expected the columns \"{}\" and \"{}\" (or no header and two columns: image path, caption), found {}",
        file.string(), keys.image_key, keys.caption_key, row);
  return std::nullopt;
}

void read_delimited(const fs::path& file, char delimiter, const PairOptions& keys, RowCollector& rows) {
  CsvReader reader(file, delimiter);
  const auto name = file.string();
  std::vector<std::string> row;
  if (!reader.next(row)) return;
  const auto header = find_columns(file, row, keys);
  const auto columns = header.value_or(Columns{2, 0, 1});
  if (!header) rows.add(reader.line(), row[0], row[1]);
  while (reader.next(row)) {
    check(row.size() == columns.count, "{}:{}: expected {} columns, found {}", name, reader.line(), columns.count,
          row.size());
    rows.add(reader.line(), row[columns.image], row[columns.caption]);
  }
}

/// Calls `add` with each caption of a JSON value: a string, null (no caption), or a list of strings. False for others.
bool add_captions(const json& value, const std::function<void(std::string_view)>& add) {
  const auto is_text = [](const json& one) { return one.is_string(); };
  if (is_text(value)) {
    add(value.get_ref<const std::string&>());
  } else if (value.is_null() || (value.is_array() && value.empty())) {
    add("");
  } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_text)) {
    for (const auto& caption : value) add(caption.get_ref<const std::string&>());
  } else {
    return false;
  }
  return true;
}

void read_json_lines(const fs::path& file, const PairOptions& keys, RowCollector& rows) {
  auto stream = open_text(file);
  const auto name = file.string();
  std::string text;
  for (std::int64_t line = 1; std::getline(stream, text); ++line) {
    if (trim(text).empty()) continue;
    const auto where = [&] { return fmt::format("{}:{}", name, line); };
    json row;
    try {
      row = json::parse(text);
    } catch (const json::exception& error) {
      fail("{}: not a JSON object: {}", where(), reason_of(error));
    }
    if (!row.is_object()) fail("{}: expected a JSON object, found {}", where(), row.type_name());
    const auto image = row.find(keys.image_key), caption = row.find(keys.caption_key);
    if (image == row.end() || !image->is_string()) fail("{}: no string \"{}\"", where(), keys.image_key);
    if (caption == row.end()) fail("{}: no \"{}\"", where(), keys.caption_key);
    const auto add = [&](std::string_view one) { rows.add(line, image->get_ref<const std::string&>(), one); };
    if (!add_captions(*caption, add)) {
      fail("{}: \"{}\" must be a string or a list of strings", where(), keys.caption_key);
    }
  }
  check(!stream.bad(), "{}: cannot read all of it", name);
}

PairIndex read_table(const fs::path& file, const PairOptions& options) {
  const auto type = lower(file.extension().string());
  const auto keys = type == ".jsonl" || file.stem() == "metadata" ? huggingface_keys(options) : options;
  RowCollector rows(file.string());
  if (type == ".jsonl") {
    read_json_lines(file, keys, rows);
  } else {
    read_delimited(file, type == ".csv" ? ',' : '\t', keys, rows);
  }
  return rows.finish();
}

class TablePairs : public PairSource {
 public:
  TablePairs(const fs::path& file, const PairOptions& options)
      : folder_(fs::absolute(file).parent_path()), index_(read_table(file, options)) {
    check_pictures(file);
  }

  std::int64_t size() const override { return index_.size(); }
  std::string name(std::int64_t record) const override { return path(record).string(); }
  std::vector<std::string> captions(std::int64_t record) const override { return index_.captions(record); }
  Pair read(std::int64_t record) const override {
    const InputFile file(path(record));
    return {file.name(), captions(record), file.read(0, file.size())};
  }

 private:
  fs::path path(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
    return folder_ / index_.name(record);
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
        file.string(), looked_at, index_.name(0), path(0).string(), folder_.string());
  }

  fs::path folder_;
  PairIndex index_;
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
