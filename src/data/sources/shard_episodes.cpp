#include "data/sources/shard_episodes.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "data/sources/pair_index.hpp"
#include "data/sources/shard_records.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<std::string> read_instructions(const json& record, const std::string& where) {
  const auto wrong = [&] {
    fail("{}: expected \"instruction\" to be a string or a list of strings that aren't blank", where);
  };
  const auto found = record.find("instruction");
  if (found == record.end()) wrong();
  std::vector<std::string> instructions;
  for (const auto& one : found->is_array() ? *found : json::array({*found})) {
    if (!one.is_string()) wrong();
    instructions.emplace_back(trim(one.get_ref<const std::string&>()));
    if (instructions.back().empty()) wrong();
  }
  if (instructions.empty()) wrong();
  return instructions;
}

/// Appends a list of numbers.
void append_numbers(std::vector<float>& all, const json& list, std::string_view key, const std::string& where) {
  check(list.is_array(), "{}: expected \"{}\" to be a list of numbers", where, key);
  for (const auto& number : list) {
    check(number.is_number(), "{}: expected \"{}\" to be a list of numbers, {} is none", where, key, shown(number));
    const auto value = number.get<double>();
    check(std::abs(value) <= std::numeric_limits<float>::max(),
          "{}: expected numbers in \"{}\" that float32 holds, got {}", where, key, shown(number));
    all.push_back(static_cast<float>(value));
  }
}

/// The states or the actions of all records, in the order in which these are read.
class NumberRows {
 public:
  explicit NumberRows(std::string key) : key_(std::move(key)) {}

  /// null: a record without
  void add(const json* list, const std::string& where) {
    const auto before = static_cast<std::int64_t>(all_.size());
    if (list != nullptr) append_numbers(all_, *list, key_, where);
    const auto size = static_cast<std::int64_t>(all_.size()) - before;
    if (size_ < 0) size_ = size;
    check(size == size_, "{}: expected {} numbers in \"{}\" as in the records before, got {}", where, size_, key_,
          size);
  }

  /// float32 [rows, size]
  at::Tensor gather(const std::vector<std::int64_t>& rows) const {
    auto gathered = at::empty({static_cast<std::int64_t>(rows.size()), size_}, at::kFloat);
    auto* out = gathered.mutable_data_ptr<float>();
    for (const auto row : rows) out = std::copy_n(all_.begin() + row * size_, size_, out);
    return gathered;
  }

 private:
  std::string key_;
  std::vector<float> all_;
  std::int64_t size_ = -1;
};

struct StepRecord {
  std::int64_t step;
  std::int64_t record;  // counted through the shards
};

struct OpenEpisode {
  std::string name;
  std::vector<std::string> instructions;
  std::vector<StepRecord> steps;
};

class ShardEpisodes : public EpisodeSource {
 public:
  explicit ShardEpisodes(const std::vector<fs::path>& files) {
    Reading reading;
    for (const auto& file : files) add_shard(reading, file);
    check(!reading.episodes.empty(),
          "{}: no demonstrations in it: expected members like 000.jpg (or png, webp) and 000.json",
          describe_files(files));
    keys_.shrink_to_fit();
    for (auto& episode : reading.episodes) finish(reading, episode);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(episodes_.size()); }
  const Episode& episode(std::int64_t index) const override {
    check(index >= 0 && index < size(), "[episodes] episode {}: expected 0 to {}", index, size() - 1);
    return episodes_[at(index)];
  }
  Image frame(std::int64_t index, std::int64_t step, PixelsAs as) const override {
    const auto steps = episode(index).actions.size(0);
    check(step >= 0 && step < steps, "[episodes] step {} of episode {}: expected 0 to {}", step, index, steps - 1);
    const auto record = records_[at(index)][at(step)];
    return decode_image(pictures_.read(record), name(record), 0, as);
  }

 private:
  /// What is no longer needed once all shards are read.
  struct Reading {
    std::vector<OpenEpisode> episodes;
    std::unordered_map<std::string, std::size_t> by_name;
    NumberRows states{"state"}, actions{"action"};
  };

  std::string name(std::int64_t record) const { return fmt::format("{}:{}", pictures_.shard(record), keys_[record]); }

  void add_shard(Reading& reading, const fs::path& path) {
    const auto shard = pictures_.open_shard(path);
    for (const auto& record : shard.records()) add_record(reading, shard, record);
  }

  void add_record(Reading& reading, const ShardReader& shard, const ShardRecord& members) {
    const auto where = fmt::format("{}:{}", shard.name(), members.key);
    check(members.picture() >= 0, "{}: expected a picture (jpg, png, jpeg or webp) beside the .json", where);
    check(members.json() >= 0, "{}: expected a .json beside the picture, with what was told, felt and done", where);
    keys_.push_back(members.key);
    const auto record = pictures_.add(shard, members.picture());
    const auto value = parse_json(shard.text(members.json()), where);
    check(value.is_object(), "{}: expected a JSON object", where);
    add_step(reading, value, record, where);
    reading.states.add(value.contains("state") ? &value["state"] : nullptr, where);
    check(value.contains("action") && !value["action"].empty(), "{}: no \"action\": expected a list of numbers", where);
    reading.actions.add(&value["action"], where);
  }

  static void add_step(Reading& reading, const json& value, std::int64_t record, const std::string& where) {
    check(value.contains("episode") && value["episode"].is_string(), "{}: expected \"episode\" to be a string", where);
    check(value.contains("step") && value["step"].is_number_unsigned() && value["step"].get<std::int64_t>() >= 0,
          "{}: expected \"step\" to be an integer from 0 on", where);
    auto instructions = read_instructions(value, where);
    const auto& name = value["episode"].get_ref<const std::string&>();
    const auto [found, is_new] = reading.by_name.try_emplace(name, reading.episodes.size());
    if (is_new) reading.episodes.push_back({name, instructions, {}});
    auto& episode = reading.episodes[found->second];
    check(episode.instructions == instructions, "{}: expected the instruction of episode {}'s other steps, [\"{}\"]",
          where, name, fmt::join(episode.instructions, "\", \""));
    episode.steps.push_back({value["step"].get<std::int64_t>(), record});
  }

  void finish(const Reading& reading, OpenEpisode& open) {
    auto& steps = open.steps;
    std::stable_sort(steps.begin(), steps.end(), [](auto a, auto b) { return a.step < b.step; });
    std::vector<std::int64_t> records;
    for (const auto& [step, record] : steps) {
      const auto expected = static_cast<std::int64_t>(records.size());
      check(step >= expected, "{}: step {} of episode {} is in {} already", name(record), step, open.name,
            records.empty() ? "" : name(records.back()));
      check(step == expected, "{}: step {} of episode {}, but no record has step {}", name(record), step, open.name,
            expected);
      records.push_back(record);
    }
    episodes_.push_back({std::move(open.name), std::move(open.instructions), reading.states.gather(records),
                         reading.actions.gather(records)});
    records_.push_back(std::move(records));
  }

  ShardPictures pictures_;
  StringList keys_;  // [records]
  std::vector<Episode> episodes_;
  std::vector<std::vector<std::int64_t>> records_;  // of each episode's steps
};

}  // namespace

std::shared_ptr<const EpisodeSource> open_shard_episodes(const std::vector<fs::path>& files) {
  return std::make_shared<ShardEpisodes>(files);
}

}  // namespace vlalign
