#include "data/sources/table_pairs.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/io/input_file.hpp"
#include "core/log.hpp"
#include "core/naming.hpp"
#include "data/sources/caption_keys.hpp"
#include "data/sources/pairs_fingerprint.hpp"
#include "data/sources/table_cache.hpp"
#include "data/sources/table_rows.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

void warn_not_kept(const TableText& text, const Error& error) {
  log_warning("{}: what was found in this large table is not kept, the next opening reads all of it again: {}",
              text.name(), error.what());
}

/// Nothing, and a warning, where the machine has no place.
std::optional<fs::path> place_of_index(const fs::path& file, const TableText& text, const PairOptions& options) {
  try {
    return index_file(file, options);
  } catch (const Error& error) {
    warn_not_kept(text, error);
    return std::nullopt;
  }
}

/// What an earlier opening kept. Bad records are named in the log as if they were found just now.
std::optional<TableContents> kept_contents(const fs::path& index, const fs::path& file, const TableText& text,
                                           const PairOptions& options) {
  auto contents = read_index(index, text, named_layout(file, options));
  if (!contents) return std::nullopt;
  if (!options.caption_keys.empty()) contents->layout = find_layout(file, text, options);  // the keys' columns
  const auto bad = std::exchange(contents->bad, {});
  for (const auto& fault : bad.faults()) contents->bad.add(fault);
  return contents;
}

/// Writes the index, and lets go of the memory that it was made in.
void keep(TableContents& contents, const TableText& text, const fs::path& index) {
  try {
    write_index(index, text, contents);
    if (auto kept = read_index(index, text, contents.layout)) contents.index = std::move(kept->index);
  } catch (const Error& error) {
    warn_not_kept(text, error);
  }
}

/// Behind "no pairs in it".
std::string why_empty(const TableContents& contents) {
  std::string why;
  const auto passed_over = contents.passed_over;
  if (passed_over > 0)
    why = fmt::format("; the condition takes none of {} rows: {}", passed_over, contents.layout.filter->text());
  if (contents.bad.size() > 0) why += "; " + contents.bad.faults().front();
  return why;
}

void check_usable(const TableContents& contents, const TableText& text, double max_bad) {
  contents.bad.check_share(text.name() + ":", contents.rows, max_bad);
  check(contents.index.size() > 0, "{}: no pairs in it{}", text.name(), why_empty(contents));
}

TableContents read_table(const fs::path& file, const TableText& text, const PairOptions& options, PathHash hash) {
  auto contents = scan_table(text, find_layout(file, text, options), hash);
  check_usable(contents, text, options.max_bad);
  return contents;
}

TableContents contents_of(const fs::path& file, const TableText& text, const PairOptions& options,
                          const TableOpening& opening) {
  const auto index = text.is_large() ? place_of_index(file, text, options) : std::nullopt;
  if (!index) return read_table(file, text, options, opening.hash);
  if (auto known = kept_contents(*index, file, text, options)) {
    check_usable(*known, text, options.max_bad);
    return *std::move(known);
  }
  auto contents = read_table(file, text, options, opening.hash);
  keep(contents, text, *index);
  return contents;
}

/// The caption that is drawn of a record's, by its place among all of them.
std::size_t drawn_place(const TableRow& row, const std::vector<CaptionKey>& keys, Rng& rng) {
  std::vector<std::size_t> counts(keys.size());
  for (std::size_t i = 0; i < row.counts.size(); ++i) counts[i % keys.size()] += row.counts[i];
  auto [key, left] = choose_caption(counts, keys, rng);
  std::size_t place = 0;
  for (std::size_t i = 0;; place += row.counts[i++]) {
    if (i % keys.size() != key) continue;
    if (left < row.counts[i]) return place + left;
    left -= row.counts[i];
  }
}

/// Readers of a table's rows, as many as there are threads that read at once.
class RowReaders {
 public:
  RowReaders(const TableText& text, const TableLayout& layout) : text_(text), layout_(layout) {}

  /// The first row with the captions and counts of all, row after row. Throws Error when they aren't there any more, or
  /// the file was written to.
  TableRow read(std::span<const RowPlace> places) const {
    TableRow first, further;
    auto reader = take();
    reader->read(places.front(), first);
    for (const auto place : places.subspan(1)) {
      reader->read(place, further);
      std::move(further.captions.begin(), further.captions.end(), std::back_inserter(first.captions));
      first.counts.insert(first.counts.end(), further.counts.begin(), further.counts.end());
    }
    text_.check_unchanged();
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(reader));
    return first;
  }

 private:
  std::unique_ptr<TableRows> take() const {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<TableRows>(text_, layout_);
    auto last = std::move(free_.back());
    free_.pop_back();
    return last;
  }

  const TableText& text_;
  const TableLayout& layout_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<TableRows>> free_;
};

class TablePairs : public PairSource {
 public:
  TablePairs(const fs::path& file, const PairOptions& options, const TableOpening& opening)
      : folder_(fs::absolute(file).parent_path()),
        text_(file, opening.large),
        contents_(contents_of(file, text_, options, opening)) {
    check_pictures();
  }

  std::int64_t size() const override { return contents_.index.size(); }
  std::string name(std::int64_t record) const override { return path_of(first_row(record)).string(); }
  std::vector<std::string> bad_records() const override { return contents_.bad.faults(); }
  std::vector<std::string> captions(std::int64_t record) const override { return all_rows(record).captions; }
  std::string draw_caption(std::int64_t record, Rng& rng) const override {
    if (keys().empty()) return PairSource::draw_caption(record, rng);
    auto row = all_rows(record);
    return naming(path_of(row).string(), [&] { return std::move(row.captions[drawn_place(row, keys(), rng)]); });
  }
  /// None without caption keys, since names and captions say all then.
  std::string fingerprint() const override {
    if (keys().empty()) return {};
    auto print = names_and_captions(*this);
    for (const auto& key : keys()) print.add(key.key).add(std::bit_cast<std::int64_t>(key.probability));
    return print.hex();
  }
  Pair read(std::int64_t record) const override {
    auto row = all_rows(record);
    const InputFile file(path_of(row));
    return {file.name(), std::move(row.captions), file.read(0, file.size())};
  }

 private:
  const std::vector<CaptionKey>& keys() const { return contents_.layout.caption_keys; }

  TableRow first_row(std::int64_t record) const { return read_rows(record, {contents_.index.first_row(record)}); }
  TableRow all_rows(std::int64_t record) const { return read_rows(record, contents_.index.rows(record)); }
  TableRow read_rows(std::int64_t record, const std::vector<RowPlace>& places) const {
    try {
      return rows_.read(places);
    } catch (const Error& error) {
      fail("[pairs] record {}: {}", record, error.what());
    }
  }

  fs::path path_of(const TableRow& row) const { return folder_ / row.image; }

  void check_pictures() const {
    const auto looked_at = std::min<std::int64_t>(size(), 10);
    for (std::int64_t i = 0; i < looked_at; ++i) {
      std::error_code ignored;
      if (fs::exists(path_of(first_row(i)), ignored)) return;
    }
    const auto first = first_row(0);
    fail(
        "{}: none of the first {} pictures exists; the first, \"{}\", was looked for at {} (paths are relative to the "
        "file's folder, {})",
        text_.name(), looked_at, first.image, path_of(first).string(), folder_.string());
  }

  fs::path folder_;
  TableText text_;
  TableContents contents_;
  RowReaders rows_{text_, contents_.layout};
};

}  // namespace

bool is_table(const fs::path& file) {
  const auto type = lower(file.extension().string());
  return type == ".tsv" || type == ".csv" || type == ".jsonl";
}

std::shared_ptr<const PairSource> open_table(const fs::path& file, const PairOptions& options,
                                             const TableOpening& opening) {
  return std::make_shared<TablePairs>(file, options, opening);
}

}  // namespace vlalign
