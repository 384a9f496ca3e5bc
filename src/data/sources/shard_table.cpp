#include "data/sources/shard_table.hpp"

#include <libdeflate.h>

#include <cstring>
#include <memory>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::string_view magic = "vlshard1";
constexpr std::int64_t largest_table = std::int64_t{1} << 31;  // bytes, unpacked

/// Numbers as little-endian groups of seven bits.
class Writer {
 public:
  void number(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  void fixed(std::uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class Reader {
 public:
  Reader(std::string_view bytes, std::string_view name) : bytes_(bytes), name_(name) {}

  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    fail("{}: is damaged", name_);
  }
  std::string_view text() { return take(number()); }
  std::uint32_t fixed() {
    std::uint32_t value = 0;
    const auto four = take(4);
    for (std::size_t i = 0; i < 4; ++i)
      value |= static_cast<std::uint32_t>(static_cast<unsigned char>(four[i])) << (8 * i);
    return value;
  }
  std::string_view take(std::uint64_t count) {
    check(count <= bytes_.size(), "{}: is damaged", name_);
    const auto taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  std::string_view name_;
};

std::string compressed(std::string_view bytes) {
  constexpr int fast = 1;
  const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> deflate(
      libdeflate_alloc_compressor(fast), libdeflate_free_compressor);
  check(deflate != nullptr, "out of memory");
  std::string out(libdeflate_deflate_compress_bound(deflate.get(), bytes.size()), '\0');
  out.resize(libdeflate_deflate_compress(deflate.get(), bytes.data(), bytes.size(), out.data(), out.size()));
  return out;
}

std::string uncompressed(std::string_view bytes, std::uint64_t size, std::string_view name) {
  check(size <= static_cast<std::uint64_t>(largest_table), "{}: is damaged", name);
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> inflate(
      libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  check(inflate != nullptr, "out of memory");
  std::string out(size, '\0');
  const auto result =
      libdeflate_deflate_decompress(inflate.get(), bytes.data(), bytes.size(), out.data(), out.size(), nullptr);
  check(result == LIBDEFLATE_SUCCESS, "{}: is damaged", name);
  return out;
}

/// Begins of members are near the one before, before or behind it.
std::uint64_t folded(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unfolded(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

}  // namespace

std::uint32_t crc_of(std::string_view bytes) { return libdeflate_crc32(0, bytes.data(), bytes.size()); }

void ShardTable::add(std::string_view key, const ShardMember& picture, const ShardMember& txt,
                     const ShardMember& json) {
  keys_.push_back(key);
  members_.push_back({picture, txt, json});
}

ShardRow ShardTable::row(std::int64_t i) const {
  const auto& [picture, txt, json] = members_[static_cast<std::size_t>(i)];
  return {keys_[i], picture, txt, json};
}

std::int64_t ShardTable::bytes() const {
  constexpr std::int64_t usual_key = 24;
  return size() * (static_cast<std::int64_t>(sizeof(members_.front())) + usual_key);
}

std::string ShardTable::pack() const {
  Writer body;
  body.number(has_checks_ ? 1 : 0);
  body.number(static_cast<std::uint64_t>(size()));
  std::int64_t before = 0;
  for (std::int64_t i = 0; i < size(); ++i) {
    body.text(keys_[i]);
    for (const auto& member : members_[static_cast<std::size_t>(i)]) {
      body.number(static_cast<std::uint64_t>(member.size + 1));
      if (!member.is_there()) continue;
      body.number(folded(member.offset - before));
      before = member.offset + member.size;
      if (has_checks_) body.fixed(member.crc);
    }
  }
  Writer packed;
  packed.number(body.bytes().size());
  packed.fixed(crc_of(body.bytes()));
  return std::string(magic) + packed.bytes() + compressed(body.bytes());
}

ShardTable ShardTable::unpack(std::string_view packed, std::string_view name) {
  Reader head(packed, name);
  check(head.take(magic.size()) == magic, "{}: is no table of a shard's records", name);
  const auto size = head.number();
  const auto crc = head.fixed();
  const auto bytes = uncompressed(head.rest(), size, name);
  check(crc_of(bytes) == crc, "{}: is damaged", name);
  Reader body(bytes, name);
  ShardTable table(body.number() != 0);
  const auto records = body.number();
  std::int64_t before = 0;
  for (std::uint64_t i = 0; i < records; ++i) {
    const auto key = body.text();
    std::array<ShardMember, parts> members;
    for (auto& member : members) {
      member.size = static_cast<std::int64_t>(body.number()) - 1;
      if (!member.is_there()) continue;
      member.offset = before + unfolded(body.number());
      before = member.offset + member.size;
      if (table.has_checks_) member.crc = body.fixed();
    }
    table.add(key, members[0], members[1], members[2]);
  }
  return table;
}

}  // namespace vlalign
