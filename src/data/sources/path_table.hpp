// Which records' paths have a hash. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace vlalign {

/// Finds records by 32 bits of their path's hash, in 11 to 21 bytes a record, 32 where it grows; the paths themselves
/// are elsewhere.
class PathTable {
 public:
  /// The record that has this hash and for which `is_it` is true. Where there is none, `fresh` is added and nothing is
  /// returned.
  template <typename IsIt>
  std::optional<std::int64_t> find_or_add(std::uint64_t hash, std::int64_t fresh, const IsIt& is_it) {
    const auto high = static_cast<std::uint32_t>(hash >> 32);
    for (auto at = first_slot(high); slots_[at].record != none; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at].hash == high && is_it(slots_[at].record)) return slots_[at].record;
    }
    add({high, static_cast<std::uint32_t>(fresh)});
    return std::nullopt;
  }

 private:
  struct Slot {
    std::uint32_t hash = 0, record = none;
  };
  static constexpr std::uint32_t none = 0xffffffff;
  static constexpr std::size_t most = std::size_t{3} << 30;  // in the 2^32 slots that 32 bits tell apart

  std::size_t first_slot(std::uint32_t hash) const { return hash >> (32 - slot_bits_); }
  void add(const Slot& slot);
  void put(const Slot& slot);
  void grow();

  int slot_bits_ = 10;
  std::vector<Slot> slots_ = std::vector<Slot>(std::size_t{1} << slot_bits_);
  std::size_t records_ = 0;
};

}  // namespace vlalign
