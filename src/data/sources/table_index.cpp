#include "data/sources/table_index.hpp"

#include <algorithm>

#include "core/check.hpp"

namespace vlalign {

std::span<const std::uint64_t> OwnWords::get(std::size_t first, std::size_t count) const {
  return std::span(words_).subspan(first, count);
}

std::span<const std::uint64_t> TableIndex::words_of(std::int64_t record) const {
  check(record >= 0 && record < records_, "[pairs] record {}: expected 0 to {}", record, records_ - 1);
  const auto own = words_->get(static_cast<std::size_t>(record), 1);
  if ((own.front() & RowPlace::free_bit) == 0) return own;
  const auto count = static_cast<std::size_t>(own.front() & ~RowPlace::free_bit);
  return words_->get(count + 1, words_->get(count, 1).front());
}

std::vector<RowPlace> TableIndex::rows(std::int64_t record) const {
  const auto words = words_of(record);
  return {words.begin(), words.end()};
}

RowPlace TableIndex::first_row(std::int64_t record) const { return RowPlace(words_of(record).front()); }

TableIndex TableIndexMaker::finish() {
  std::sort(further_.begin(), further_.end(),
            [](const Further& a, const Further& b) { return std::pair(a.record, a.row) < std::pair(b.record, b.row); });
  std::vector<std::uint64_t> words;
  const auto records = size();
  words.reserve(firsts_.size() + 3 * further_.size());
  words.assign(firsts_.begin(), firsts_.end());
  firsts_ = {};
  for (auto at = further_.begin(); at != further_.end();) {
    const auto record = static_cast<std::size_t>(at->record);
    const auto count = words.size();
    words.push_back(1);
    words.push_back(std::exchange(words[record], count | RowPlace::free_bit));
    for (; at != further_.end() && static_cast<std::size_t>(at->record) == record; ++at, ++words[count]) {
      words.push_back(at->row);
    }
  }
  words.shrink_to_fit();
  return {std::make_shared<const OwnWords>(std::move(words)), records};
}

}  // namespace vlalign
