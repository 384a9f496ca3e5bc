#include "data/shard_pairs.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/check.hpp"
#include "data/input_file.hpp"
#include "data/pair_index.hpp"
#include "data/tar.hpp"
#include "data/text.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What a record may consist of: pictures in the order of preference, then captions in theirs.
constexpr std::array<std::string_view, 6> parts = {"jpg", "png", "jpeg", "webp", "txt", "json"};
constexpr std::size_t picture_parts = 4;
constexpr std::size_t txt_part = 4;
constexpr std::size_t json_part = 5;

/// A record while its shard is read: positions in the list of members, -1 for none.
struct Sample {
  std::string_view key;
  std::array<std::int64_t, parts.size()> members{-1, -1, -1, -1, -1, -1};

  std::int64_t picture() const {
    for (std::size_t part = 0; part < picture_parts; ++part) {
      if (members[part] >= 0) return members[part];
    }
    return -1;
  }
};

struct MemberName {
  std::string_view key;
  std::size_t part;
};

/// Splits a path at the first dot of its file name; nothing when that is no part of a record.
std::optional<MemberName> split_name(std::string_view path) {
  const auto slash = path.rfind('/');
  const auto file = slash == path.npos ? 0 : slash + 1;
  const auto dot = path.find('.', file);
  if (dot == path.npos || dot == file) return std::nullopt;
  const auto part = std::find(parts.begin(), parts.end(), lower(path.substr(dot + 1)));
  if (part == parts.end()) return std::nullopt;
  return MemberName{path.substr(0, dot), static_cast<std::size_t>(part - parts.begin())};
}

/// Groups members by key, in the order of the keys' first members. A part that a key already has begins a new sample:
/// keys may come again.
std::vector<Sample> group_members(const std::vector<TarMember>& members) {
  std::vector<Sample> samples;
  std::unordered_map<std::string_view, std::size_t> open;
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto name = split_name(members[i].name);
    if (!name) continue;
    const auto found = open.find(name->key);
    if (found == open.end() || samples[found->second].members[name->part] >= 0) {
      open[name->key] = samples.size();
      samples.push_back({name->key});
    }
    samples[open[name->key]].members[name->part] = static_cast<std::int64_t>(i);
  }
  return samples;
}

class ShardReader {
 public:
  explicit ShardReader(const fs::path& path) : tar_(open_tar(path)), members_(list_tar(*tar_.file)) {}

  const InputFile& tar() const { return *tar_.file; }
  const TarMember& member(std::int64_t i) const { return members_[static_cast<std::size_t>(i)]; }
  std::vector<Sample> samples() const { return group_members(members_); }

  /// Captions that aren't blank.
  std::vector<std::string> captions(const Sample& sample) const {
    std::vector<std::string> captions;
    if (sample.members[txt_part] >= 0) add(captions, text(sample.members[txt_part]));
    if (captions.empty() && sample.members[json_part] >= 0) add_json(captions, sample.members[json_part]);
    return captions;
  }

  /// The file to read from later when it isn't the shard itself.
  std::unique_ptr<InputFile> release_unpacked() { return tar_.unpacked ? std::move(tar_.file) : nullptr; }

 private:
  std::string text(std::int64_t i) const {
    const auto bytes = tar().read(member(i).offset, member(i).size);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  static void add(std::vector<std::string>& captions, std::string_view caption) {
    if (const auto trimmed = trim(caption); !trimmed.empty()) captions.emplace_back(trimmed);
  }

  void add_json(std::vector<std::string>& captions, std::int64_t i) const {
    json value;
    try {
      value = json::parse(text(i));
    } catch (const json::exception& error) {
      fail("{}:{}: not JSON: {}", tar().name(), member(i).name, error.what());
    }
    if (!value.is_object() || !value.contains("caption") || value["caption"].is_null()) return;
    const auto& caption = value["caption"];
    if (caption.is_string()) return add(captions, caption.get_ref<const std::string&>());
    check(caption.is_array(), "{}:{}: \"caption\" must be a string or a list of strings", tar().name(), member(i).name);
    for (const auto& one : caption) {
      check(one.is_string(), "{}:{}: \"caption\" must be a string or a list of strings", tar().name(), member(i).name);
      add(captions, one.get_ref<const std::string&>());
    }
  }

  OpenTar tar_;
  std::vector<TarMember> members_;
};

class ShardPairs : public PairSource {
 public:
  explicit ShardPairs(const std::vector<fs::path>& files) {
    for (const auto& file : files) add_shard(file);
    if (incomplete_ > 0) {
      spdlog::warn("{} records without a picture or a caption are skipped, the first is {}", incomplete_,
                   first_incomplete_);
    }
    check(index_.size() > 0, "{}{}: no pairs in it: expected members like 000.jpg (or png, webp) and 000.txt (or json)",
          files.front().string(), files.size() > 1 ? fmt::format(" and {} more", files.size() - 1) : "");
    index_.finish();
  }

  std::int64_t size() const override { return index_.size(); }
  std::string name(std::int64_t record) const override {
    return fmt::format("{}:{}", shards_[picture(record).shard].path.string(), index_.name(record));
  }
  std::vector<std::string> captions(std::int64_t record) const override { return index_.captions(record); }
  Pair read(std::int64_t record) const override {
    const auto& [offset, bytes, number] = picture(record);
    const auto& shard = shards_[number];
    auto image = shard.unpacked ? shard.unpacked->read(offset, bytes) : InputFile(shard.path).read(offset, bytes);
    return {name(record), captions(record), std::move(image)};
  }

 private:
  // A shard is opened for each picture: there may be more of them than a process may hold open.
  struct Shard {
    fs::path path;
    std::unique_ptr<InputFile> unpacked;  // when it is compressed
  };
  struct Picture {
    std::int64_t offset;
    std::uint32_t size;
    std::uint32_t shard;
  };

  void add_shard(const fs::path& path) {
    ShardReader reader(path);
    for (const auto& sample : reader.samples()) add_sample(reader, sample);
    shards_.push_back({path, reader.release_unpacked()});
  }

  void add_sample(const ShardReader& reader, const Sample& sample) {
    const auto captions = reader.captions(sample);
    if (sample.picture() < 0 || captions.empty()) {
      if (incomplete_++ == 0) first_incomplete_ = fmt::format("{}:{}", reader.tar().name(), sample.key);
      return;
    }
    const auto& picture = reader.member(sample.picture());
    check(picture.size <= UINT32_MAX, "{}:{}: a picture of {} bytes", reader.tar().name(), picture.name, picture.size);
    pictures_.push_back(
        {picture.offset, static_cast<std::uint32_t>(picture.size), static_cast<std::uint32_t>(shards_.size())});
    const auto record = index_.add_record(sample.key);
    for (const auto& caption : captions) index_.add_caption(record, caption);
  }

  const Picture& picture(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
    return pictures_[static_cast<std::size_t>(record)];
  }

  std::vector<Shard> shards_;
  std::vector<Picture> pictures_;
  PairIndex index_;
  std::int64_t incomplete_ = 0;
  std::string first_incomplete_;
};

}  // namespace

bool is_shard(const fs::path& file) {
  const auto name = lower(file.filename().string());
  constexpr std::array<std::string_view, 8> endings = {".tar",    ".tgz",     ".tar.gz", ".tar.bz2",
                                                       ".tar.xz", ".tar.zst", ".tzst",   ".tar.lz4"};
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

std::shared_ptr<const PairSource> open_shards(const std::vector<fs::path>& files) {
  return std::make_shared<ShardPairs>(files);
}

}  // namespace vlalign
