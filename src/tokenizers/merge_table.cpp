#include "tokenizers/merge_table.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

namespace vlalign {
namespace {

constexpr std::uint64_t no_pair = ~std::uint64_t{0};
constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();

std::uint64_t pair_of(Symbol left, Symbol right) { return std::uint64_t{left} << 32 | right; }

struct Candidate {
  std::uint32_t rank;
  std::uint32_t position;
  auto operator<=>(const Candidate&) const = default;
};

}  // namespace

MergeTable::MergeTable(std::size_t merges) {
  const auto size = std::bit_ceil(2 * merges + 2);
  slots_.assign(size, {no_pair, 0, no_rank});
  shift_ = 64 - std::countr_zero(size);
}

std::size_t MergeTable::slot_of(Symbol left, Symbol right) const {
  constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;  // 2^64 over the golden ratio: multiplicative hashing
  const auto pair = pair_of(left, right);
  auto at = static_cast<std::size_t>(pair * golden >> shift_);
  while (slots_[at].pair != pair && slots_[at].pair != no_pair) at = (at + 1) & (slots_.size() - 1);
  return at;
}

void MergeTable::add(Symbol left, Symbol right, Symbol merged, std::uint32_t rank) {
  slots_[slot_of(left, right)] = {pair_of(left, right), merged, rank};
}

void MergeTable::merge(std::vector<Symbol>& word, MergeOrder order) const {
  const auto size = static_cast<std::uint32_t>(word.size());
  if (size < 2) return;
  constexpr Symbol gone = std::numeric_limits<Symbol>::max();
  std::vector<std::uint32_t> next(size), previous(size);
  std::vector<Candidate> queue, found;
  const auto look_at = [&](std::uint32_t position) {
    if (next[position] == size) return;
    const auto rank = slots_[slot_of(word[position], word[next[position]])].rank;
    if (rank != no_rank) found.push_back({rank, position});
  };
  const auto enqueue_found = [&] {
    for (const auto& candidate : found) {
      queue.push_back(candidate);
      std::push_heap(queue.begin(), queue.end(), std::greater<>());
    }
    found.clear();
  };
  const auto dequeue = [&] {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto candidate = queue.back();
    queue.pop_back();
    return candidate;
  };

  for (std::uint32_t i = 0; i < size; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (std::uint32_t i = 0; i < size; ++i) look_at(i);
  enqueue_found();
  while (!queue.empty()) {
    const auto rank = queue.front().rank;
    while (!queue.empty() && queue.front().rank == rank) {
      const auto position = dequeue().position;
      const auto right = next[position];
      if (word[position] == gone || right == size) continue;
      const auto& slot = slots_[slot_of(word[position], word[right])];
      if (slot.rank != rank) continue;
      word[position] = slot.merged;
      word[right] = gone;
      next[position] = next[right];
      if (next[right] != size) previous[next[right]] = position;
      if (position != 0) look_at(previous[position]);
      look_at(position);
      if (order == MergeOrder::lowest_first) enqueue_found();
    }
    enqueue_found();
  }
  std::erase(word, gone);
}

}  // namespace vlalign
