#include "data/shard_pairs.hpp"

#include <nlohmann/json.hpp>
#include <string_view>

#include "core/check.hpp"
#include "core/json_reason.hpp"
#include "core/log.hpp"
#include "data/pair_index.hpp"
#include "data/shard_records.hpp"
#include "data/text.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

void add(std::vector<std::string>& captions, std::string_view caption) {
  if (const auto trimmed = trim(caption); !trimmed.empty()) captions.emplace_back(trimmed);
}

void add_json(std::vector<std::string>& captions, const ShardReader& shard, std::int64_t member) {
  const auto where = shard.name() + ":" + shard.member(member).name;
  nlohmann::json value;
  try {
    value = nlohmann::json::parse(shard.text(member));
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not JSON: {}", where, reason_of(error));
  }
  if (!value.is_object() || !value.contains("caption") || value["caption"].is_null()) return;
  const auto& caption = value["caption"];
  if (caption.is_string()) return add(captions, caption.get_ref<const std::string&>());
  check(caption.is_array(), "{}: \"caption\" must be a string or a list of strings", where);
  for (const auto& one : caption) {
    check(one.is_string(), "{}: \"caption\" must be a string or a list of strings", where);
    add(captions, one.get_ref<const std::string&>());
  }
}

/// Captions that aren't blank.
std::vector<std::string> read_captions(const ShardReader& shard, const ShardRecord& record) {
  std::vector<std::string> captions;
  if (record.txt() >= 0) add(captions, shard.text(record.txt()));
  if (captions.empty() && record.json() >= 0) add_json(captions, shard, record.json());
  return captions;
}

class ShardPairs : public PairSource {
 public:
  explicit ShardPairs(const std::vector<fs::path>& files) {
    for (const auto& file : files) add_shard(file);
    if (incomplete_ > 0) {
      log_warning("{} records without a picture or a caption are skipped, the first is {}", incomplete_,
                  first_incomplete_);
    }
    check(index_.size() > 0, "{}: no pairs in it: expected members like 000.jpg (or png, webp) and 000.txt (or json)",
          describe_files(files));
    index_.finish();
  }

  std::int64_t size() const override { return index_.size(); }
  std::string name(std::int64_t record) const override {
    check_record(record);
    return fmt::format("{}:{}", pictures_.shard(record), index_.name(record));
  }
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
    const auto captions = read_captions(reader, record);
    if (record.picture() < 0 || captions.empty()) {
      if (incomplete_++ == 0) first_incomplete_ = fmt::format("{}:{}", reader.name(), record.key);
      return;
    }
    pictures_.add(reader, record.picture());
    const auto number = index_.add_record(record.key);
    for (const auto& caption : captions) index_.add_caption(number, caption);
  }

  void check_record(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
  }

  ShardPictures pictures_;
  PairIndex index_;
  std::int64_t incomplete_ = 0;
  std::string first_incomplete_;
};

}  // namespace

std::shared_ptr<const PairSource> open_shards(const std::vector<fs::path>& files) {
  return std::make_shared<ShardPairs>(files);
}

}  // namespace vlalign
