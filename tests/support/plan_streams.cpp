// What streams of a billion records cost to open and to plan, and how well blocks of shards are shuffled: the tables of
// docs/scale.md. No picture is read: the index is made up.
//   vlalign_plan_streams [SHARDS RECORDS BATCH]      by default 100,000 shards of 10,000 and batches of 32,768
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "data/loading/epoch_plan.hpp"
#include "data/sources/shard_index.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace {

using namespace vlalign;
using Records = std::vector<std::int64_t>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::filesystem::path made_up_index(std::int64_t shards, std::int64_t records, const std::filesystem::path& folder) {
  ShardIndex index;
  for (std::int64_t i = 0; i < shards; ++i) {
    auto& shard = index.shards.emplace_back();
    shard.name = fmt::format("s3://a-bucket/of-pairs/{:08}.tar", i);
    shard.version = {records * 30'000, "\"0123456789abcdef0123456789abcdef\""};
    shard.records = records;
    shard.fingerprint = fmt::format("{:032x}", i);
  }
  write_index(index, folder / "index.json");
  return folder / "index.json";
}

/// What the ranks read of a batch, one after the other.
Records planned(const EpochPlan& plan, std::int64_t batch, std::int64_t size, std::int64_t ranks) {
  Records all;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    Records rows(static_cast<std::size_t>(size / ranks));
    plan.fill(batch, rank * (size / ranks), rows);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

std::int64_t shards_touched(const EpochPlan& plan, std::int64_t first, std::int64_t size, std::int64_t ranks,
                            std::int64_t records) {
  std::set<std::int64_t> shards;
  Records rows(static_cast<std::size_t>(size / ranks));
  for (std::int64_t batch = first; batch < first + 100; ++batch) {
    plan.fill(batch, 0, rows);
    for (const auto record : rows) shards.insert(record / records);
  }
  return std::ssize(shards);
}

void plan_batches(const std::string& index, std::int64_t batch_size, std::int64_t records_a_shard) {
  constexpr std::int64_t wanted = 1'000'000;
  Records reference;
  fmt::print("{:>6}  {:>8}  {:>22}  {:>30}  {:>8}\n", "ranks", "opened", "batch 1,000,000 planned",
             "shards of a rank in 100 batches", "at most");
  for (const std::int64_t ranks : {1, 8, 1024}) {
    auto start = Clock::now();
    const auto pairs = open_pairs(index);
    const auto opened = seconds_since(start);
    start = Clock::now();
    const auto runs = pairs->runs();
    const OrderOptions order{.batch_size = batch_size, .seed = 1};
    const auto batches = EpochPlan::records_per_epoch(runs) / batch_size;
    const EpochPlan plan(runs, order, wanted / batches);
    const auto rows = planned(plan, wanted % batches, batch_size, ranks);
    const auto took = seconds_since(start);
    if (reference.empty()) reference = rows;
    if (rows != reference) throw Error(fmt::format("{} ranks read other records", ranks));
    const auto begin = wanted % batches;
    const auto block = 256 * batch_size;  // a block has fewer than 256 batches, and 100 batches meet two of them
    const auto bound = 2 * ((block / ranks + records_a_shard - 1) / records_a_shard + 1);
    fmt::print("{:>6}  {:>6.2f} s  {:>20.2f} s  {:>30}  {:>8}\n", ranks, opened, took,
               shards_touched(plan, begin, batch_size, ranks, records_a_shard), bound);
  }
  fmt::print("the same records in the same rows each time; at most {:.0f} MB of memory\n\n", peak_mb());
}

/// Of pairs of records of a shard closer than 100, the share that meet in a batch.
double neighbours_that_meet(const EpochPlan& plan, std::int64_t batches, std::int64_t size, std::int64_t records) {
  std::int64_t meetings = 0;
  Records rows(static_cast<std::size_t>(size));
  for (std::int64_t batch = 0; batch < batches; ++batch) {
    plan.fill(batch, 0, rows);
    std::sort(rows.begin(), rows.end());
    for (std::size_t i = 0; i < rows.size(); ++i)
      for (auto j = i + 1; j < rows.size() && rows[j] - rows[i] < 100; ++j)
        meetings += rows[i] / records == rows[j] / records;
  }
  std::int64_t pairs = 0;
  for (std::int64_t distance = 1; distance < 100; ++distance) pairs += records - distance;
  return static_cast<double>(meetings) * static_cast<double>(records) /
         (static_cast<double>(pairs) * static_cast<double>(batches * size));
}

void measure_shuffle() {
  constexpr std::int64_t shards = 400, records = 10'000, size = 1'000;
  constexpr double chance = (size - 1.0) / (shards * records - 1.0);
  const std::vector<RecordRun> runs(shards, {.records = records});
  fmt::print("{} shards of {}, batches of {}: of records of a shard closer than 100 meet in a batch\n", shards, records,
             size);
  fmt::print("{:>24}  {:>10}\n{:>24}  {:>9.4f}%\n", "block", "", "all (a full shuffle)", 100 * chance);
  for (const std::int64_t batches : {16, 64, 128}) {
    const EpochPlan plan(runs, {.batch_size = size, .block = batches * size, .seed = 1}, 0);
    const auto share = neighbours_that_meet(plan, shards * records / size, size, records);
    fmt::print("{:>11} ({:>3} batches)  {:>9.4f}%\n", batches * size, batches, 100 * share);
  }
}

int run(int argc, char** argv) {
  const auto number = [&](int i, std::int64_t usual) { return i < argc ? std::atoll(argv[i]) : usual; };
  const auto shards = number(1, 100'000), records = number(2, 10'000), batch = number(3, 32'768);
  auto folder = (std::filesystem::temp_directory_path() / "vlalign-plan-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw Error(folder + ": cannot make this folder");
  fmt::print("{} shards of {} records, batches of {}\n", shards, records, batch);
  try {
    const auto index = made_up_index(shards, records, folder);
    fmt::print("index: {:.1f} MB\n", static_cast<double>(std::filesystem::file_size(index)) / 1e6);
    plan_batches(index.string(), batch, records);
    std::filesystem::remove_all(folder);
  } catch (...) {
    std::filesystem::remove_all(folder);
    throw;
  }
  measure_shuffle();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
