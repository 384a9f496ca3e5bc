#include "data/sources/shard_reading.hpp"

#include "core/check.hpp"

namespace vlalign {

std::vector<std::byte> ShardBytes::read(const ShardMember& member, std::string_view key) const {
  auto bytes = tar.read(member.offset, member.size);
  const std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (checked && crc_of(view) != member.crc)
    throw DamagedBytes(fmt::format(
        "{}:{}: its bytes are not those that were indexed: the shard is damaged, or has changed since", tar.name, key));
  return bytes;
}

std::string ShardBytes::text(const ShardMember& member, std::string_view key) const {
  const auto bytes = read(member, key);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace vlalign
