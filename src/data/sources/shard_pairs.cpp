#include "data/sources/shard_pairs.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "core/utf8.hpp"
#include "data/sources/bad_records.hpp"
#include "data/sources/json_captions.hpp"
#include "data/sources/pair_index.hpp"
#include "data/sources/shard_records.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> json_captions(const ShardReader& shard, std::int64_t member) {
  return naming(shard.name() + ":" + shard.member(member).name, [&] {
    const auto record = parse_record(shard.text(member));
    check(record.is_object(), "expected a JSON object, found {}", record.type_name());
    auto captions = captions_of(record, "caption");
    for (auto& caption : captions) caption = trim(caption);
    return captions;
  });
}

/// Those that aren't blank, at least one.
std::vector<std::string> read_captions(const ShardReader& shard, const ShardRecord& record) {
  if (record.txt() >= 0) {
    const auto text = shard.text(record.txt());
    const auto caption = trim(without_byte_order_mark(text));
    check(is_utf8(caption), "{}:{}: is not UTF-8", shard.name(), shard.member(record.txt()).name);
    if (!caption.empty()) return {std::string(caption)};
    check(record.json() >= 0, "its caption is empty");
  }
  check(record.json() >= 0, "has no caption, a .txt or .json");
  return json_captions(shard, record.json());
}

class ShardPairs : public PairSource {
 public:
  ShardPairs(const std::vector<fs::path>& files, double max_bad) {
    for (const auto& file : files) add_shard(file);
    bad_.check_share(describe_files(files) + ":", records_, max_bad);
    check(index_.size() > 0, "{}: no pairs in it: expected members like 000.jpg (or png, webp) and 000.txt (or json){}",
          describe_files(files), bad_.size() == 0 ? "" : "; " + bad_.faults().front());
    index_.finish();
  }

  std::int64_t size() const override { return index_.size(); }
  std::string name(std::int64_t record) const override {
    check_record(record);
    return fmt::format("{}:{}", pictures_.shard(record), index_.name(record));
  }
  std::vector<std::string> bad_records() const override { return bad_.faults(); }
  std::vector<std::string> captions(std::int64_t record) const override { return index_.captions(record); }
  Pair read(std::int64_t record) const override {
    check_record(record);
    return {name(record), captions(record), pictures_.read(record)};
  }

 private:
  void add_shard(const fs::path& path) {
    const auto reader = pictures_.open_shard(path);
    for (const auto& record : reader.records()) add_record(reader, record);
  }

  void add_record(const ShardReader& reader, const ShardRecord& record) {
    ++records_;
    try {
      check(record.picture() >= 0, "has no picture, a .jpg, .png, .jpeg or .webp");
      const auto captions = read_captions(reader, record);
      pictures_.add(reader, record.picture());
      const auto number = index_.add_record(record.key);
      for (const auto& caption : captions) index_.add_caption(number, caption);
    } catch (const Error& error) {
      bad_.add(describe_fault(fmt::format("{}:{}", reader.name(), record.key), error.what()));
    }
  }

  void check_record(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
  }

  ShardPictures pictures_;
  PairIndex index_;
  std::int64_t records_ = 0;  // bad ones too
  BadRecords bad_;
};

}  // namespace

std::shared_ptr<const PairSource> open_shards(const std::vector<fs::path>& files, double max_bad) {
  return std::make_shared<ShardPairs>(files, max_bad);
}

}  // namespace vlalign
