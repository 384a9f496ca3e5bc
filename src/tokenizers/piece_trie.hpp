// A trie of the bytes of texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace vlalign {

/// A few bytes for each node, whatever their number: all children are in one hash table.
class PieceTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node root = 0;
  static constexpr Node none = ~Node{0};

  PieceTrie();

  /// The id that the text had already; -1 where it is new and has the given id now. Throws Error for more than 16
  /// million nodes.
  std::int32_t add(std::string_view text, std::int32_t id);

  Node child(Node parent, char byte) const { return slots_[place_of(key_of(parent, byte))].child; }
  std::int32_t id(Node node) const { return ids_[node]; }  ///< -1 for the beginning of texts alone

 private:
  struct Slot {
    std::uint32_t key = 0;
    Node child = none;
  };
  static std::uint32_t key_of(Node parent, char byte) { return parent << 8 | static_cast<unsigned char>(byte); }
  std::size_t place_of(std::uint32_t key) const {
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;  // 2^64 over the golden ratio: multiplicative hashing
    auto place = static_cast<std::size_t>(key * golden >> shift_);
    while (slots_[place].child != none && slots_[place].key != key) place = (place + 1) & (slots_.size() - 1);
    return place;
  }
  void grow();

  std::vector<Slot> slots_;  // open addressing, a power of two, at most three quarters full
  int shift_;
  std::vector<std::int32_t> ids_;  // of node
};

}  // namespace vlalign
