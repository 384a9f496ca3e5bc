// What was used last, for as much as is to be kept. Internal.
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace vlalign {

/// Keeps the values that were asked for last, as many as weigh no more than `most` together, and the newest whatever it
/// weighs. Safe to use from several threads.
template <typename Value>
class Recent {
 public:
  explicit Recent(std::int64_t most) : most_(most) {}

  std::optional<Value> find(std::int64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->value;
  }

  /// The value of the key, which is the one that is kept already where there is one.
  Value keep(std::int64_t key, Value value, std::int64_t weight) {
    std::list<Entry> dropped;  // freed without the lock
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second->value;
    entries_.push_front({key, weight, std::move(value)});
    by_key_.emplace(key, entries_.begin());
    weight_ += weight;
    while (weight_ > most_ && entries_.size() > 1) {
      weight_ -= entries_.back().weight;
      by_key_.erase(entries_.back().key);
      dropped.splice(dropped.begin(), entries_, std::prev(entries_.end()));
    }
    return entries_.front().value;
  }

  void forget(std::int64_t key) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    weight_ -= found->second->weight;
    entries_.erase(found->second);
    by_key_.erase(found);
  }

  std::int64_t size() const {
    const std::lock_guard lock(mutex_);
    return std::ssize(entries_);
  }

 private:
  struct Entry {
    std::int64_t key, weight;
    Value value;
  };

  std::int64_t most_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the one used last first
  std::unordered_map<std::int64_t, typename std::list<Entry>::iterator> by_key_;
  std::int64_t weight_ = 0;
};

}  // namespace vlalign
