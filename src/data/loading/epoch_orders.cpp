#include "data/loading/epoch_orders.hpp"

#include <utility>

#include "core/random_permutation.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {

EpochOrders::Order EpochOrders::of(std::int64_t epoch) {
  constexpr std::uint64_t order_tag = 1;  // BatchMaker has the others
  auto& order = orders_[epoch];
  if (!order.valid()) {
    order = std::async(std::launch::deferred, [records = records_, seed = seed_, epoch] {
              return random_permutation(records, {seed, order_tag, static_cast<std::uint64_t>(epoch)});
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
