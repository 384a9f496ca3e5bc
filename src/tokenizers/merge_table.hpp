// Byte-pair merges by rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizers/byte_alphabet.hpp"

namespace vlalign {

/// What comes next when a merge makes a pair of lower rank than its own.
enum class MergeOrder {
  whole_ranks,   ///< the other pairs of the merge's rank, as in GPT-2's and CLIP's own code
  lowest_first,  ///< the new pair, as in Hugging Face's tokenizers library
};

class MergeTable {
 public:
  /// An empty table with room for `merges`.
  explicit MergeTable(std::size_t merges);

  /// `left` followed by `right` becomes `merged`; the lower the rank, the sooner. A pair added twice keeps the last
  /// rank.
  void add(Symbol left, Symbol right, Symbol merged, std::uint32_t rank);

  /// Merges in place until no pair is left that can be merged: each time all of the pair of lowest rank, from left to
  /// right. O(n log n) in the word's length.
  void merge(std::vector<Symbol>& word, MergeOrder order = MergeOrder::whole_ranks) const;

 private:
  struct Slot {
    std::uint64_t pair;
    Symbol merged;
    std::uint32_t rank;
  };
  // Where the pair is, or would be put.
  std::size_t slot_of(Symbol left, Symbol right) const;

  std::vector<Slot> slots_;  // open addressing, a power of two, at most half full
  int shift_;
};

}  // namespace vlalign
