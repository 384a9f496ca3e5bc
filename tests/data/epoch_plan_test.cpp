#include "data/loading/epoch_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/random_permutation.hpp"

namespace vlalign::test::epoch_plan_test {
namespace {

using Records = std::vector<std::int64_t>;
using Runs = std::vector<RecordRun>;

Runs equal_runs(std::int64_t count, std::int64_t records) { return Runs(static_cast<std::size_t>(count), {records}); }

Records batch_of(const EpochPlan& plan, std::int64_t batch, std::int64_t size) {
  Records records(static_cast<std::size_t>(size));
  plan.fill(batch, 0, records);
  return records;
}

std::vector<Records> batches_of(const Runs& runs, const OrderOptions& options, std::int64_t epoch = 0) {
  const EpochPlan plan(runs, options, epoch);
  std::vector<Records> all;
  for (std::int64_t b = 0; b < EpochPlan::records_per_epoch(runs) / options.batch_size; ++b)
    all.push_back(batch_of(plan, b, options.batch_size));
  return all;
}

std::map<std::int64_t, int> counted(const std::vector<std::vector<Records>>& epochs) {
  std::map<std::int64_t, int> counts;
  for (const auto& batches : epochs)
    for (const auto& batch : batches)
      for (const auto record : batch) ++counts[record];
  return counts;
}

// Large enough to be read in blocks: 100 runs of 1,000, mixed 20,000 at a time in what follows.
const Runs many = equal_runs(100, 1000);
const OrderOptions in_blocks{.batch_size = 100, .block = 66'000, .seed = 5};

TEST(EpochPlan, PermutesSmallDataAsAWhole) {
  const auto expected = random_permutation(1000, {7, 1, 3});
  const auto batches = batches_of(equal_runs(4, 250), {.batch_size = 8, .seed = 7}, 3);
  ASSERT_EQ(batches.size(), 125U);
  for (std::size_t b = 0; b < batches.size(); ++b)
    EXPECT_TRUE(
        std::equal(batches[b].begin(), batches[b].end(), expected.begin() + static_cast<std::ptrdiff_t>(8 * b)));
}

TEST(EpochPlan, KeepsTheOrderWithoutShuffle) {
  const auto batches = batches_of(many, {.batch_size = 1000, .shuffle = false});
  for (std::int64_t b = 0; b < 100; ++b)
    for (std::int64_t row = 0; row < 1000; row += 333)
      EXPECT_EQ(batches[static_cast<std::size_t>(b)][static_cast<std::size_t>(row)], 1000 * b + row);
}

TEST(EpochPlan, HoldsEachRecordOnceWhenReadInBlocks) {
  for (const std::int64_t block : {0, 5'000, 66'000}) {
    auto options = in_blocks;
    options.block = block;
    const auto runs = equal_runs(200, 1000);
    const auto counts = counted({batches_of(runs, options)});
    EXPECT_EQ(counts.size(), 200'000U) << block;
    EXPECT_TRUE(std::all_of(counts.begin(), counts.end(), [](auto c) { return c.second == 1; })) << block;
  }
}

TEST(EpochPlan, HoldsNoRecordTwiceWhereTheLastBatchIsNotFull) {
  Runs runs;
  for (std::int64_t i = 0; i < 300; ++i) runs.push_back({.records = 200 + i * 7 % 311});
  const auto counts = counted({batches_of(runs, in_blocks)});
  EXPECT_EQ(std::ssize(counts), EpochPlan::records_per_epoch(runs) / 100 * 100);
  EXPECT_LT(counts.rbegin()->first, EpochPlan::records_per_epoch(runs));
}

TEST(EpochPlan, GivesTheSameRowsHoweverABatchIsShared) {
  const EpochPlan plan(many, in_blocks, 2);
  const auto whole = batch_of(plan, 333, 100);
  for (std::int64_t row = 0; row < 100; row += 7) {
    Records part(static_cast<std::size_t>(std::min<std::int64_t>(7, 100 - row)));
    plan.fill(333, row, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + row));
  }
}

TEST(EpochPlan, ChangesWithEpochAndSeed) {
  auto other = in_blocks;
  other.seed = 6;
  EXPECT_NE(batches_of(many, in_blocks, 0), batches_of(many, in_blocks, 1));
  EXPECT_NE(batches_of(many, in_blocks, 0), batches_of(many, other, 0));
  EXPECT_EQ(batches_of(many, in_blocks, 1), batches_of(many, in_blocks, 1));
}

/// The share of pairs of records of a run, closer than 100, that meet in a batch.
double neighbours_that_meet(const std::vector<Records>& batches, std::int64_t run) {
  std::int64_t meetings = 0, pairs = 0;
  for (auto batch : batches) {
    std::sort(batch.begin(), batch.end());
    for (std::size_t i = 0; i < batch.size(); ++i)
      for (auto j = i + 1; j < batch.size() && batch[j] - batch[i] < 100; ++j)
        meetings += batch[i] / run == batch[j] / run;
  }
  const auto runs = std::ssize(batches) * std::ssize(batches.front()) / run;
  for (std::int64_t distance = 1; distance < 100; ++distance) pairs += runs * (run - distance);
  return static_cast<double>(meetings) / static_cast<double>(pairs);
}

TEST(EpochPlan, LetsNoNeighboursMeetInBlocksOf116BatchesOrMore) {
  const auto runs = equal_runs(100, 2000);
  const auto chance = 99.0 / 199'999.0;  // of two records to meet in a batch of 100 when all are shuffled
  auto options = in_blocks;
  options.block = 11'600;  // the least
  EXPECT_EQ(neighbours_that_meet(batches_of(runs, options), 2000), 0.0);
  options.block = 12'800;  // 128 batches, as usual
  EXPECT_EQ(neighbours_that_meet(batches_of(runs, options), 2000), 0.0);
  options.block = 2'000;  // 20 batches: here they do
  EXPECT_GT(neighbours_that_meet(batches_of(runs, options), 2000), chance);
}

TEST(EpochPlan, MixesTheRunsOfABlockEvenly) {
  const EpochPlan plan(many, in_blocks, 0);
  std::map<std::int64_t, int> of_run;
  for (const auto record : batch_of(plan, 10, 100)) ++of_run[record / 1000];
  EXPECT_GE(of_run.size(), 66U);  // the block's
  for (const auto& [run, count] : of_run) EXPECT_LE(count, 3);
}

TEST(EpochPlan, LetsAProcessThatTakesASliceTouchFewRuns) {
  constexpr std::int64_t processes = 10, rows = 10;
  const EpochPlan plan(many, in_blocks, 0);
  const auto in_a_block = plan.next_block(0);
  EXPECT_EQ(in_a_block, 1000);  // 66,000 go into 100,000 once
  for (std::int64_t process = 0; process < processes; ++process) {
    std::set<std::int64_t> touched;
    for (std::int64_t batch = 0; batch < in_a_block; ++batch) {
      Records records(rows);
      plan.fill(batch, process * rows, records);
      for (const auto record : records) touched.insert(record / 1000);
    }
    EXPECT_LE(touched.size(), 100 / processes + 1U);
  }
}

TEST(EpochPlan, HoldsRecordsAsOftenAsTheirWeightsSay) {
  const Runs runs{{.records = 100, .weight = 2.0}, {.records = 60, .weight = 0.25}, {.records = 40, .weight = 1.5}};
  EXPECT_EQ(EpochPlan::records_per_epoch(runs), 200 + 15 + 60);
  for (const bool shuffle : {false, true}) {
    std::vector<std::vector<Records>> four;
    for (int epoch = 0; epoch < 4; ++epoch)
      four.push_back(batches_of(runs, {.batch_size = 1, .shuffle = shuffle, .seed = 3}, epoch));
    const auto counts = counted(four);
    ASSERT_EQ(counts.size(), 200U);
    for (const auto& [record, count] : counts) EXPECT_EQ(count, record < 100 ? 8 : record < 160 ? 1 : 6) << record;
  }
}

TEST(EpochPlan, HoldsWeightedRunsAsOftenWhenReadInBlocks) {
  auto runs = equal_runs(100, 1000);
  for (std::size_t i = 0; i < 50; ++i) runs[i].weight = 2.0;
  const auto counts = counted({batches_of(runs, in_blocks)});
  for (const auto& [record, count] : counts) EXPECT_EQ(count, record < 50'000 ? 2 : 1);
}

TEST(EpochPlan, DrawsWithReplacementByWeight) {
  const Runs runs{{.records = 1000, .weight = 3.0}, {.records = 3000, .weight = 1.0}};
  const auto counts = counted({batches_of(runs, {.batch_size = 10, .replacement = true, .seed = 1})});
  std::int64_t first = 0, all = 0;
  for (const auto& [record, count] : counts) (record < 1000 ? first : all) += count;
  all += first;
  EXPECT_EQ(all, 6000);
  EXPECT_NEAR(static_cast<double>(first), 3000, 5 * std::sqrt(6000 * 0.25));
  EXPECT_LT(counts.size(), 3500U);  // 1 - exp(-1) and 1 - exp(-3) of them come at all
}

TEST(EpochPlan, DrawsRunsWithReplacementWhenReadInBlocks) {
  auto options = in_blocks;
  options.replacement = true;
  const auto counts = counted({batches_of(many, options)});
  std::set<std::int64_t> runs;
  for (const auto& [record, count] : counts) runs.insert(record / 1000);
  EXPECT_NEAR(static_cast<double>(runs.size()), 100 * (1 - std::exp(-1.0)), 20);
}

TEST(EpochPlan, PlansABatchOfABillionRecordsAsAnyOther) {
  constexpr std::int64_t batch = 32'768, ranks = 1024, rows = batch / ranks;
  const auto runs = equal_runs(100'000, 10'000);
  const OrderOptions options{.batch_size = batch, .seed = 1};
  const auto batches = EpochPlan::records_per_epoch(runs) / batch;
  const EpochPlan plan(runs, options, 1'000'000 / batches);
  const auto whole = batch_of(plan, 1'000'000 % batches, batch);
  std::set<std::int64_t> distinct(whole.begin(), whole.end());
  EXPECT_EQ(std::ssize(distinct), batch);
  EXPECT_LT(*distinct.rbegin(), 1'000'000'000);
  Records joined;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    Records part(rows);
    plan.fill(1'000'000 % batches, rank * rows, part);
    joined.insert(joined.end(), part.begin(), part.end());
  }
  EXPECT_EQ(joined, whole);
}

}  // namespace
}  // namespace vlalign::test::epoch_plan_test
