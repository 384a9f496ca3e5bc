#include "tokenizers/piece_trie.hpp"

#include <bit>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::size_t first_slots = 1 << 10;

int shift_for(std::size_t slots) { return 64 - std::countr_zero(slots); }

}  // namespace

PieceTrie::PieceTrie() : slots_(first_slots), shift_(shift_for(first_slots)), ids_{-1} {}

void PieceTrie::grow() {
  const auto old = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
  shift_ = shift_for(slots_.size());
  for (const auto& slot : old) {
    if (slot.child != none) slots_[place_of(slot.key)] = slot;
  }
}

std::int32_t PieceTrie::add(std::string_view text, std::int32_t id) {
  constexpr std::size_t most_nodes = 1 << 24;
  Node node = root;
  for (const char byte : text) {
    auto place = place_of(key_of(node, byte));
    if (slots_[place].child == none) {
      check(ids_.size() < most_nodes, "the pieces have more than {} beginnings, more than are read here", most_nodes);
      if (4 * ids_.size() >= 3 * slots_.size()) {
        grow();
        place = place_of(key_of(node, byte));
      }
      slots_[place] = {key_of(node, byte), static_cast<Node>(ids_.size())};
      ids_.push_back(-1);
    }
    node = slots_[place].child;
  }
  if (ids_[node] >= 0) return ids_[node];
  ids_[node] = id;
  return -1;
}

}  // namespace vlalign
