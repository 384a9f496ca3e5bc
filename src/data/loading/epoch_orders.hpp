// The order of a data set's records in each epoch.
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <vector>

namespace vlalign {

/// A permutation for each epoch, from (seed, epoch) alone. Not safe from several threads, but its orders are.
class EpochOrders {
 public:
  /// Made by the first thread that waits for it, while others that do wait along.
  using Order = std::shared_future<std::vector<std::int64_t>>;

  EpochOrders(std::int64_t records, std::uint64_t seed) : records_(records), seed_(seed) {}

  /// Kept until it is dropped. Nothing is made yet, so that a caller may hold a lock.
  Order of(std::int64_t epoch);
  bool has(std::int64_t epoch) const { return orders_.contains(epoch); }
  /// Gives those before this epoch, to be freed where no lock is held: they are large.
  std::vector<Order> drop_before(std::int64_t epoch);
  void clear() { orders_.clear(); }

 private:
  std::int64_t records_;
  std::uint64_t seed_;
  std::map<std::int64_t, Order> orders_;
};

}  // namespace vlalign
