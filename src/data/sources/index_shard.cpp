#include "data/sources/index_shard.hpp"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "data/sources/bad_records.hpp"
#include "data/sources/parquet_rows.hpp"
#include "data/sources/shard_captions.hpp"
#include "data/sources/shard_records.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// What a filter asks of the records that a parquet file describes, by their keys.
class DescribedRecords {
 public:
  DescribedRecords(const fs::path& parquet, const RecordFilter& filter) {
    auto columns = filter.fields();
    columns.emplace_back("key");
    for (auto& row : read_parquet_rows(parquet, columns)) {
      const auto key = row.find("key");
      if (key == row.end() || !key->is_string()) continue;
      auto name = key->get<std::string>();
      rows_.emplace(std::move(name), std::move(row));
    }
    const auto has_all = [&](const auto& row) {
      return std::all_of(columns.begin(), columns.end(), [&](const auto& one) { return row.contains(one); });
    };
    complete_ = !rows_.empty() && has_all(rows_.begin()->second);
  }

  bool complete() const { return complete_; }
  /// Null for a key that isn't there.
  const nlohmann::json* find(std::string_view key) const {
    const auto found = rows_.find(std::string(key.substr(key.rfind('/') + 1)));  // npos + 1 is 0
    return found == rows_.end() ? nullptr : &found->second;
  }

 private:
  std::unordered_map<std::string, nlohmann::json> rows_;
  bool complete_ = false;
};

ShardMember member_of(const ShardReader& reader, std::int64_t i) {
  return i < 0 ? ShardMember{} : ShardMember{.offset = reader.member(i).offset, .size = reader.member(i).size};
}

ShardRow row_of(const ShardReader& reader, const ShardRecord& record) {
  return {record.key, member_of(reader, record.picture()), member_of(reader, record.txt()),
          member_of(reader, record.json())};
}

class Indexing {
 public:
  Indexing(const FileRange& tar, const ShardWanted& wanted, const fs::path& beside)
      : bytes_{tar}, wanted_(wanted), table_(wanted.contents) {
    if (!beside.empty() && wanted_.filter) described_.emplace(beside, *wanted_.filter);
    if (described_ && !described_->complete()) described_.reset();
  }

  IndexedShard run() {
    const ShardReader reader(bytes_.tar);
    for (const auto& record : reader.records()) take(row_of(reader, record));
    return {std::move(table_), std::move(faults_), print_.hex()};
  }

 private:
  void take(ShardRow row) {
    try {
      check(row.picture.is_there(), "has no picture, a .jpg, .png, .jpeg or .webp");
      if (!is_wanted(row)) return;
      const auto captions = captions_of_row(bytes_, row, wanted_.keys);
      note_checks(row);
      print_.add(row.key).add(row.picture.size).add(std::ssize(captions));
      for (const auto& caption : captions) print_.add(caption);
      table_.add(row.key, row.picture, row.txt, row.json);
    } catch (const Error& error) {
      faults_.push_back(describe_fault(fmt::format("{}:{}", bytes_.tar.name, row.key), error.what()));
    }
  }

  bool is_wanted(const ShardRow& row) const {
    if (!wanted_.filter) return true;
    if (described_) {
      const auto* record = described_->find(row.key);
      return record && wanted_.filter->takes(*record);
    }
    check(row.json.is_there(), "has no .json to choose records by");
    return wanted_.filter->takes(json_of_row(bytes_, row));
  }

  void note_checks(ShardRow& row) const {
    if (!wanted_.contents) return;
    for (auto* member : {&row.picture, &row.txt, &row.json})
      if (member->is_there()) member->crc = crc_of(bytes_.text(*member, row.key));
  }

  ShardBytes bytes_;
  const ShardWanted& wanted_;
  std::optional<DescribedRecords> described_;
  ShardTable table_;
  std::vector<std::string> faults_;
  Fingerprint print_;
};

}  // namespace

IndexedShard index_shard(const FileRange& tar, const ShardWanted& wanted, const fs::path& beside) {
  return Indexing(tar, wanted, beside).run();
}

ShardTable list_shard(const FileRange& tar) {
  const ShardReader reader(tar);
  ShardTable table;
  for (const auto& record : reader.records()) {
    const auto row = row_of(reader, record);
    table.add(row.key, row.picture, row.txt, row.json);
  }
  return table;
}

}  // namespace vlalign
