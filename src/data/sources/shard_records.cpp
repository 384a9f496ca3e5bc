#include "data/sources/shard_records.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

/// What a record may consist of: pictures in the order of preference, then captions in theirs.
constexpr std::array<std::string_view, ShardRecord::picture_parts + 2> parts = {"jpg",  "png",  "jpeg", "webp", "jpe",
                                                                                "jfif", "apng", "txt",  "json"};

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

}  // namespace

bool is_shard(const fs::path& file) {
  auto name = lower(file.string());
  if (is_remote(name)) name = name.substr(0, name.find('?'));  // which signs a URL
  constexpr std::array<std::string_view, 8> endings = {".tar",    ".tgz",     ".tar.gz", ".tar.bz2",
                                                       ".tar.xz", ".tar.zst", ".tzst",   ".tar.lz4"};
  return std::any_of(endings.begin(), endings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

void check_shard(const fs::path& file, std::string_view others) {
  check(is_shard(file), "{}: expected {}, or tar shards (.tar, .tar.gz, .tgz, .tar.zst, .tar.xz)", file.string(),
        others);
}

std::string describe_files(const std::vector<fs::path>& files) {
  return files.front().string() + (files.size() > 1 ? fmt::format(" and {} more", files.size() - 1) : "");
}

std::int64_t ShardRecord::picture() const {
  for (std::size_t part = 0; part < picture_parts; ++part) {
    if (members[part] >= 0) return members[part];
  }
  return -1;
}

ShardReader::ShardReader(FileRange tar) : tar_(std::move(tar)), members_(list_tar(tar_)) {}

std::string ShardReader::text(std::int64_t i) const {
  const auto bytes = tar_.read(member(i).offset, member(i).size);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<ShardRecord> ShardReader::records() const {
  std::vector<ShardRecord> records;
  std::unordered_map<std::string_view, std::size_t> open;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const auto name = split_name(members_[i].name);
    if (!name) continue;
    const auto found = open.find(name->key);
    if (found == open.end() || records[found->second].members[name->part] >= 0) {
      open[name->key] = records.size();
      records.push_back({name->key});
    }
    records[open[name->key]].members[name->part] = static_cast<std::int64_t>(i);
  }
  return records;
}

ShardReader ShardPictures::open_shard(const fs::path& path) {
  auto [tar, compressed] = unpacked_.open(path);
  shards_.push_back({path, compressed});
  return ShardReader(std::move(tar));
}

std::int64_t ShardPictures::add(const ShardReader& reader, std::int64_t member) {
  const auto& picture = reader.member(member);
  check(picture.size <= UINT32_MAX, "{}:{}: a picture of {} bytes", reader.name(), picture.name, picture.size);
  pictures_.push_back(
      {picture.offset, static_cast<std::uint32_t>(picture.size), static_cast<std::uint32_t>(shards_.size() - 1)});
  return static_cast<std::int64_t>(pictures_.size()) - 1;
}

std::string ShardPictures::shard(std::int64_t picture) const {
  return shards_[pictures_[static_cast<std::size_t>(picture)].shard].path.string();
}

std::vector<std::byte> ShardPictures::read(std::int64_t picture) const {
  const auto& [offset, size, number] = pictures_[static_cast<std::size_t>(picture)];
  const auto& shard = shards_[number];
  return shard.compressed ? unpacked_.open(shard.path).tar.read(offset, size)
                          : InputFile(shard.path).read(offset, size);
}

}  // namespace vlalign
