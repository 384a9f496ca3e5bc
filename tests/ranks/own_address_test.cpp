#include "ranks/own_address.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <vector>

namespace vlalign::own_address_test {
namespace {

/// What each rank finds, all at once.
std::vector<std::optional<std::string>> addresses(const std::vector<Route>& routes) {
  const auto store = c10::make_intrusive<c10d::HashStore>();
  std::vector<std::optional<std::string>> found(routes.size());
  std::vector<std::thread> ranks;
  for (std::size_t rank = 0; rank < routes.size(); ++rank)
    ranks.emplace_back([&, rank] {
      found[rank] = own_address(*store, static_cast<int>(rank), static_cast<int>(routes.size()), routes[rank]);
    });
  for (auto& rank : ranks) rank.join();
  return found;
}

TEST(OwnAddressTest, ThoseBesideRankZeroHaveTheAddressThatOthersSee) {
  const Route here{.own = "127.0.0.1", .other = "127.0.1.1", .on_this_host = true};
  const Route there{.own = "10.0.0.7", .other = "10.0.0.1", .on_this_host = false};
  const auto found = addresses({here, here, there, there});
  EXPECT_EQ(found[0], "10.0.0.1");
  EXPECT_EQ(found[1], "10.0.0.1");
  EXPECT_EQ(found[2], "10.0.0.7");
}

TEST(OwnAddressTest, OnOneHostThereIsNone) {
  const auto route = route_to("127.0.0.1", 29500);
  EXPECT_TRUE(route.on_this_host);
  EXPECT_EQ(route.own, "127.0.0.1");
  EXPECT_EQ(addresses({route, route})[1], std::nullopt);
  EXPECT_TRUE(route_to("no-such-host.invalid", 29500).on_this_host);
}

}  // namespace
}  // namespace vlalign::own_address_test
