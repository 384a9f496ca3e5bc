#include "vlalign/ranks/shard.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/job.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::shard_test {
namespace {

/// Numbers 1, 2, ... in the order of indices, not of memory.
at::Tensor numbered(at::IntArrayRef sizes, bool channels_last = false) {
  auto numbers = at::arange(1, c10::multiply_integers(sizes) + 1, at::kFloat).view(sizes);
  return channels_last ? numbers.contiguous(at::MemoryFormat::ChannelsLast) : numbers;
}

/// One number, fewer than ranks, uneven, transposed, a picture's layout, and more than travel at once.
std::vector<at::Tensor> tensors_of_all_kinds() {
  return {numbered({}),
          numbered({3}),
          numbered({7, 11}),
          numbered({40, 33}).t(),
          numbered({5, 3, 4, 4}, true),
          numbered({0, 4}),
          numbered({1500, 2011}),
          numbered({100, 16})};
}

// ---- in the processes of a job ----

TEST(RankWithShard, DISABLED_GivesAndCollects) {
  const auto ranks = Ranks::from_environment();
  std::int64_t held = 0, all = 0;
  for (const auto& whole : tensors_of_all_kinds()) {
    auto shard = Shard::zeros_like(whole, ranks);
    shard.distribute(ranks.rank() == 0 ? whole : at::Tensor());
    EXPECT_TRUE(shard.own().equal(shard.own_of(whole)));
    const auto collected = shard.collect();
    EXPECT_EQ(collected.defined(), ranks.rank() == 0);
    if (collected.defined()) {
      EXPECT_TRUE(collected.equal(whole)) << whole.sizes();
      EXPECT_EQ(collected.strides(), whole.strides());
    }
    held += shard.own().numel(), all += whole.numel();

    auto on_each = Shard::of_each(at::zeros(whole.sizes()), ranks);
    on_each.distribute(ranks.rank() == 0 ? whole : at::Tensor());
    EXPECT_TRUE(on_each.own().equal(whole));
  }
  EXPECT_NEAR(static_cast<double>(held) * ranks.size() / static_cast<double>(all), 1, 0.001);
}

/// Each rank changes its part, and all have all changes.
TEST(RankWithShard, DISABLED_SharesParts) {
  const auto ranks = Ranks::from_environment();
  auto tensors = tensors_of_all_kinds();
  tensors.push_back(numbered({300}).to(at::kBFloat16));
  std::vector<at::Tensor> expected;
  for (const auto& tensor : tensors) {
    expected.push_back(tensor * 2);
    Shard::zeros_like(tensor, ranks).own_of(tensor).mul_(2);
  }
  share_parts(ranks, tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) EXPECT_TRUE(tensors[i].equal(expected[i])) << tensors[i].sizes();
}

// ---- who starts them ----

void expect_all_well(int size, const std::string& test) {
  for (const auto& end : test::run_job(size, "RankWithShard.DISABLED_" + test)) EXPECT_EQ(end.status, 0) << end.said;
}

TEST(ShardTest, IsGivenByRankZeroAndCollectedThere) {
  for (const int size : {2, 3, 4}) expect_all_well(size, "GivesAndCollects");
}

TEST(ShardTest, WhatEachRankChangesAllHave) {
  for (const int size : {2, 3}) expect_all_well(size, "SharesParts");
}

TEST(ShardTest, OfARankAloneIsTheWhole) {
  const auto numbers = numbered({7, 11});
  auto shard = Shard::zeros_like(numbers, Ranks());
  EXPECT_EQ(shard.own().sizes(), numbers.sizes());
  shard.distribute(numbers);
  EXPECT_TRUE(shard.own().equal(numbers));
  EXPECT_TRUE(shard.collect().is_same(shard.own()));
  EXPECT_TRUE(shard.own_of(numbers).is_same(numbers));
}

TEST(ShardTest, WhatHasGapsInItsMemoryIsRefused) {
  EXPECT_THROW(Shard::zeros_like(at::zeros({4, 6}).narrow(1, 0, 2), Ranks()), Error);
}

}  // namespace
}  // namespace vlalign::shard_test
