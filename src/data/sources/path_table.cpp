#include "data/sources/path_table.hpp"

#include <utility>

#include "core/check.hpp"

namespace vlalign {

void PathTable::add(const Slot& slot) {
  check(records_ < most, "a table of more than {} pictures; cut it into several", most);
  if (4 * ++records_ > 3 * slots_.size()) grow();
  put(slot);
}

void PathTable::put(const Slot& slot) {
  auto at = first_slot(slot.hash);
  while (slots_[at].record != none) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = slot;
}

void PathTable::grow() {
  ++slot_bits_;
  const auto before = std::exchange(slots_, std::vector<Slot>(std::size_t{1} << slot_bits_));
  for (const auto& slot : before) {
    if (slot.record != none) put(slot);
  }
}

}  // namespace vlalign
