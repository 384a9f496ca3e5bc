#include "data/sources/table_scan.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "data/sources/path_table.hpp"
#include "data/sources/table_rows.hpp"

namespace vlalign {
namespace {

/// The paths of records that came lately: rows of one picture mostly stand together.
class LatePaths {
 public:
  void put(std::int64_t record, const std::string& path) {
    auto& entry = at(record);
    entry.record = record;
    entry.path = path;
  }
  /// Nothing where it isn't known.
  const std::string* find(std::int64_t record) const {
    const auto& entry = entries_[static_cast<std::size_t>(record) % entries_.size()];
    return entry.record == record ? &entry.path : nullptr;
  }

 private:
  struct Entry {
    std::int64_t record = -1;
    std::string path;
  };
  Entry& at(std::int64_t record) { return entries_[static_cast<std::size_t>(record) % entries_.size()]; }

  std::vector<Entry> entries_ = std::vector<Entry>(1024);
};

/// Puts rows of one path together.
class RecordMaker {
 public:
  RecordMaker(const TableText& text, const TableLayout& layout, PathHash hash) : rows_(text, layout), hash_(hash) {}

  void add(const std::string& path, RowPlace row) {
    const auto fresh = index_.size();
    const auto record =
        paths_.find_or_add(hash_(path), fresh, [&](std::int64_t known) { return has_path(known, path); });
    if (record) {
      index_.add_row(*record, row);
      return;
    }
    index_.add_record(row);
    late_.put(fresh, path);
  }

  TableIndex finish() {
    paths_ = {};
    return index_.finish();
  }

 private:
  bool has_path(std::int64_t record, const std::string& path) {
    if (const auto* late = late_.find(record)) return *late == path;
    rows_.read(index_.first_row(record), row_);
    return row_.image == path;
  }

  TableRows rows_;  // those that went by
  TableRow row_;
  PathHash hash_;
  PathTable paths_;
  LatePaths late_;
  TableIndexMaker index_;
};

}  // namespace

std::uint64_t usual_path_hash(std::string_view path) { return std::hash<std::string_view>()(path); }

TableContents scan_table(const TableText& text, const TableLayout& layout, PathHash hash) {
  check(text.end() <= RowPlace::largest, "{}: a table of more than {} bytes; cut it into several", text.name(),
        RowPlace::largest);
  RecordMaker records(text, layout, hash);
  BadRecords bad;
  std::int64_t count = 0;
  TableRows rows(text, layout);
  rows.skip_header();
  TableRow row;
  const auto next = [&] {
    try {
      if (!rows.next(row)) return false;
      records.add(row.image, {rows.begin(), rows.end()});
    } catch (const UnreadableText&) {
      throw;
    } catch (const Error& error) {
      bad.add(fmt::format("{}:{}: {}", text.name(), rows.line(), error.what()));
    }
    return true;
  };
  while (next()) ++count;
  text.check_unchanged();
  return {layout, records.finish(), std::move(bad), count, rows.passed_over()};
}

}  // namespace vlalign
