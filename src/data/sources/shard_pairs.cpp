#include "data/sources/shard_pairs.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "data/sources/bad_records.hpp"
#include "data/sources/find_index.hpp"
#include "data/sources/foreign_index.hpp"
#include "data/sources/open_shards.hpp"
#include "data/sources/shard_captions.hpp"
#include "data/sources/shard_records.hpp"
#include "data/sources/shard_wanted.hpp"
#include "remote/remote_error.hpp"

namespace vlalign {
namespace {

std::string describe_shards(const std::vector<ShardEntry>& shards) {
  return shards.front().name + (shards.size() > 1 ? fmt::format(" and {} more", shards.size() - 1) : "");
}

/// Whether the shard's place is at fault, not a record.
bool is_of_the_place(const Error& error) { return dynamic_cast<const RemoteError*>(&error) != nullptr; }

class ShardPairs : public PairSource {
  struct Place {
    std::int64_t shard, row;
  };

  Place place_of(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
    const auto shard = std::upper_bound(ends_.begin(), ends_.end(), record) - ends_.begin();
    return {shard, record - (shard == 0 ? 0 : ends_[static_cast<std::size_t>(shard - 1)])};
  }

  /// What a function makes of an open shard and the row of a record. Where the bytes turn out damaged and can be had in
  /// another way, it is called again with those.
  template <typename Function>
  auto with_row(std::int64_t record, Function function) const {
    const auto [shard, number] = place_of(record);
    const auto table = shards_.table(shard);
    check(number < table->size(), "{}: has {} records, the index beside it says {}", shards_.entry(shard).name,
          table->size(), shards_.entry(shard).records);
    const auto row = table->row(number);
    try {
      try {
        return function(shards_.bytes(shard), row);
      } catch (const NoRanges&) {
        return function(shards_.bytes_of_all(shard), row);
      } catch (const DamagedBytes&) {
        const auto anew = shards_.bytes_anew(shard);
        if (!anew) throw;
        return function(*anew, row);
      }
    } catch (const Error& error) {
      if (is_of_the_place(error)) shards_.note_fault(shard, error);
      throw Error(describe_fault(fmt::format("{}:{}", shards_.entry(shard).name, row.key), error.what()));
    }
  }

 public:
  ShardPairs(ShardIndex index, std::shared_ptr<ShardFiles> files, const PairOptions& options)
      : shards_(check_bad(std::move(index), options.max_bad), std::move(files)), keys_(options.caption_keys) {
    ends_.reserve(static_cast<std::size_t>(shards_.count()));
    for (std::int64_t i = 0; i < shards_.count(); ++i) ends_.push_back(size() + shards_.entry(i).records);
  }

  std::int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  std::vector<std::string> bad_records() const override { return bad_.faults(); }

  std::string name(std::int64_t record) const override {
    const auto [shard, row] = place_of(record);
    try {
      const auto table = shards_.table(shard);
      if (row < table->size()) return fmt::format("{}:{}", shards_.entry(shard).name, table->row(row).key);
    } catch (const Error&) {  // what is wrong is told by who reads it
    }
    return fmt::format("{}:#{}", shards_.entry(shard).name, row);
  }

  std::vector<std::string> captions(std::int64_t record) const override {
    return with_row(record, [&](const auto& bytes, const auto& row) { return captions_of_row(bytes, row, keys_); });
  }

  std::string draw_caption(std::int64_t record, Rng& rng) const override {
    return with_row(record, [&](const auto& bytes, const auto& row) {
      auto drawing = rng;  // with_row() may call this twice
      return draw_caption_of_row(bytes, row, keys_, drawing);
    });
  }

  Pair read(std::int64_t record) const override {
    return with_row(record, [&](const auto& bytes, const auto& row) {
      check(row.picture.is_there(), "{}:{}: has no picture, a .jpg, .png, .jpeg or .webp", bytes.tar.name, row.key);
      return Pair{fmt::format("{}:{}", bytes.tar.name, row.key), captions_of_row(bytes, row, keys_),
                  bytes.read(row.picture, row.key)};
    });
  }

  std::vector<RecordRun> runs() const override {
    std::vector<RecordRun> runs;
    for (std::int64_t i = 0; i < shards_.count(); ++i) runs.push_back({.records = shards_.entry(i).records});
    return runs;
  }

  void expect(std::span<const std::int64_t> records) const override {
    std::vector<std::int64_t> shards;
    std::vector<bool> seen(static_cast<std::size_t>(shards_.count()));
    for (const auto record : records) {
      const auto shard = place_of(record).shard;
      if (!seen[static_cast<std::size_t>(shard)]) shards.push_back(shard);
      seen[static_cast<std::size_t>(shard)] = true;
    }
    shards_.expect(shards);
  }

  void read_ahead(std::span<const std::int64_t> records) const override {
    for (const auto record : records) {
      const auto [shard, row] = place_of(record);
      try {
        shards_.read_ahead(shard, row);
      } catch (const Error&) {  // is told by who reads the record
      }
    }
  }

  std::string fingerprint() const override {
    Fingerprint print;
    for (std::int64_t i = 0; i < shards_.count(); ++i) {
      const auto& shard = shards_.entry(i);
      print.add(shard.records).add(shard.fingerprint.empty() ? last_part(shard.name) : shard.fingerprint);
    }
    for (const auto& key : keys_) print.add(key.key).add(std::bit_cast<std::int64_t>(key.probability));
    const bool counted = shards_.count() > 0 && shards_.entry(0).fingerprint.empty();
    return (counted ? "counted " : "") + print.hex();
  }

 private:
  std::vector<ShardEntry> check_bad(ShardIndex index, double max_bad) {
    const auto where = describe_shards(index.shards);
    for (auto& fault : index.faults) bad_.add(std::move(fault));
    bad_.add_unnamed(index.bad() - bad_.size());
    bad_.check_share(where + ":", index.records() + bad_.size(), max_bad);
    check(index.records() > 0 || index.wanted.empty(), "{}: none of its records is taken: {}", where, index.wanted);
    check(index.records() > 0,
          "{}: no pairs in it: expected members like 000.jpg (or png, webp) and 000.txt (or json){}", where,
          bad_.size() == 0 ? "" : "; " + bad_.faults().front());
    return std::move(index.shards);
  }

  BadRecords bad_;
  mutable OpenShards shards_;
  std::vector<CaptionKey> keys_;
  std::vector<std::int64_t> ends_;  // of each shard's records
};

ShardIndex index_of(const std::vector<CountedShard>& counted) {
  ShardIndex index;
  for (const auto& [name, records] : counted) {
    auto& shard = index.shards.emplace_back();
    shard.name = name;
    shard.records = records;
  }
  return index;
}

std::shared_ptr<const PairSource> open_known(ShardIndex index, const PairOptions& options) {
  auto files = std::make_shared<ShardFiles>(cache_options(options));
  return std::make_shared<ShardPairs>(std::move(index), std::move(files), options);
}

}  // namespace

std::shared_ptr<const PairSource> open_shards(const std::vector<std::string>& shards, const PairOptions& options) {
  auto files = std::make_shared<ShardFiles>(cache_options(options));
  auto index = index_shards(shards, *files, shards_wanted(options));
  return std::make_shared<ShardPairs>(std::move(index), std::move(files), options);
}

std::shared_ptr<const PairSource> open_index(const std::string& text, const std::string& location,
                                             const PairOptions& options) {
  const auto asked = describe(shards_wanted(options));
  auto index = parse_index(text, location);
  const auto counted = index ? std::nullopt : parse_counts(text, location);
  if (!index && !counted) return nullptr;
  if (!index) index = index_of(*counted);
  check(index->wanted.empty() || index->wanted == asked,
        "{}: is an index of chosen records: {}choose the same, or name the shards", location, index->wanted);
  if (index->wanted == asked) return open_known(std::move(*index), options);
  std::vector<std::string> names;
  for (const auto& shard : index->shards) names.push_back(shard.name);
  return open_shards(names, options);
}

}  // namespace vlalign
