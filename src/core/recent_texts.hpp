// What was made of texts, for as many as are used again and again. Internal.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace vlalign {

/// Keeps the values of the texts that were asked for last. Looking one up allocates nothing. For one thread at a time.
template <typename Value>
class RecentTexts {
 public:
  /// most: 1 or more
  explicit RecentTexts(std::int64_t most) : most_(static_cast<std::size_t>(most)) {}

  /// Null for a text that isn't kept; otherwise good until the next keep() or clear().
  const Value* find(std::string_view text) {
    const auto found = by_text_.find(text);
    if (found == by_text_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  void keep(std::string_view text, Value value) {
    if (by_text_.contains(text)) return;
    if (entries_.size() == most_) {
      by_text_.erase(entries_.back().first);
      entries_.pop_back();
    }
    entries_.emplace_front(text, std::move(value));
    by_text_.emplace(entries_.front().first, entries_.begin());
  }

  void clear() {
    by_text_.clear();
    entries_.clear();
  }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;

  std::size_t most_;
  Entries entries_;                                                 // the one used last first
  std::map<std::string_view, typename Entries::iterator> by_text_;  // views of the entries' own texts
};

}  // namespace vlalign
