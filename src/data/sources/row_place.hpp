// Where a row stands in its table, in 8 bytes. Internal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace vlalign {

/// Its first byte, and how many it has where these are fewer than 65,535. The highest bit is free for other uses.
class RowPlace {
 public:
  static constexpr std::int64_t largest = std::int64_t{1} << 47;  // 140 TB
  static constexpr std::uint64_t free_bit = std::uint64_t{1} << 63;

  explicit RowPlace(std::uint64_t word) : word_(word) {}
  /// 0 <= begin <= end <= largest.
  RowPlace(std::int64_t begin, std::int64_t end)
      : word_(static_cast<std::uint64_t>(begin) << size_bits |
              static_cast<std::uint64_t>(std::min(end - begin, unknown))) {}

  std::uint64_t word() const { return word_; }
  std::int64_t begin() const { return static_cast<std::int64_t>((word_ & ~free_bit) >> size_bits); }
  std::optional<std::int64_t> end() const {
    const auto size = static_cast<std::int64_t>(word_) & unknown;
    return size == unknown ? std::nullopt : std::optional(begin() + size);
  }

 private:
  static constexpr int size_bits = 16;
  static constexpr std::int64_t unknown = (1 << size_bits) - 1;

  std::uint64_t word_;
};

}  // namespace vlalign
