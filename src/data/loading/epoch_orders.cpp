#include "data/loading/epoch_orders.hpp"

#include <utility>

namespace vlalign {

EpochOrders::Order EpochOrders::of(std::int64_t epoch) {
  auto& order = orders_[epoch];
  if (!order.valid()) {
    order = std::async(std::launch::deferred, [runs = runs_, options = options_, epoch] {
              return EpochPlan(*runs, options, epoch);
            }).share();
  }
  return order;
}

std::vector<EpochOrders::Order> EpochOrders::drop_before(std::int64_t epoch) {
  std::vector<Order> dropped;
  while (!orders_.empty() && orders_.begin()->first < epoch) {
    dropped.push_back(std::move(orders_.begin()->second));
    orders_.erase(orders_.begin());
  }
  return dropped;
}

}  // namespace vlalign
