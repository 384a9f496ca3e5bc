// The plans of a run's epochs, each made once.
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <vector>

#include "data/loading/epoch_plan.hpp"

namespace vlalign {

/// A plan for each epoch, from (runs, options, epoch) alone. Not safe from several threads, but its orders are.
class EpochOrders {
 public:
  /// Made by the first thread that waits for it, while others that do wait along.
  using Order = std::shared_future<EpochPlan>;

  EpochOrders(std::vector<RecordRun> runs, const OrderOptions& options)
      : runs_(std::make_shared<const std::vector<RecordRun>>(std::move(runs))), options_(options) {}

  std::int64_t records_per_epoch() const { return EpochPlan::records_per_epoch(*runs_); }
  /// Kept until it is dropped. Nothing is made yet, so that a caller may hold a lock.
  Order of(std::int64_t epoch);
  bool has(std::int64_t epoch) const { return orders_.contains(epoch); }
  /// Gives those before this epoch, to be freed where no lock is held: they are large.
  std::vector<Order> drop_before(std::int64_t epoch);
  void clear() { orders_.clear(); }

 private:
  std::shared_ptr<const std::vector<RecordRun>> runs_;
  OrderOptions options_;
  std::map<std::int64_t, Order> orders_;
};

}  // namespace vlalign
