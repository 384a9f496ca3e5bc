#include "vlalign/ranks/ranks.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <optional>

#include "ranks/environment.hpp"
#include "support/job.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::ranks_test {
namespace {

using test::run_job;

void expect_all_well(const std::vector<test::RankEnd>& ends) {
  for (const auto& end : ends) EXPECT_EQ(end.status, 0) << end.said;
}

/// What rank r holds: r + 1 rows of three, other numbers for each.
at::Tensor rows_of(int rank) { return at::arange(3 * (rank + 1)).view({rank + 1, 3}).to(at::kDouble) + 100 * rank; }

at::Tensor rows_of_all(int size) {
  std::vector<at::Tensor> rows;
  for (int r = 0; r < size; ++r) rows.push_back(rows_of(r));
  return at::cat(rows);
}

// ---- in the processes of a job ----

TEST(Rank, DISABLED_Collects) {
  const auto ranks = Ranks::from_environment();
  const auto rank = ranks.rank(), size = ranks.size();
  auto sum = at::full({2, 3}, rank + 1.0);
  ranks.sum(sum);
  EXPECT_TRUE(sum.eq(size * (size + 1) / 2.0).all().item<bool>());

  EXPECT_TRUE(ranks.gather(rows_of(rank)).equal(rows_of_all(size)));
  EXPECT_EQ(ranks.gather(rank == 1 ? at::zeros({0, 2}) : at::zeros({4, 2})).size(0), 4 * (size - 1));
  const auto texts = ranks.gather("I am " + std::to_string(rank));
  for (int r = 0; r < size; ++r) EXPECT_EQ(texts[static_cast<std::size_t>(r)], "I am " + std::to_string(r));

  const std::int64_t large = (std::int64_t{1} << 53) + 1;  // which no float64 holds
  const auto mixed =
      ranks.gather({rows_of(rank), at::full({rank + 1}, large + rank, at::kLong),
                    at::full({rank + 1, 2, 2}, rank % 2 == 0, at::kBool), rows_of(rank).to(at::kBFloat16)});
  EXPECT_TRUE(mixed[0].equal(rows_of_all(size)));
  EXPECT_EQ(mixed[1][-1].item<std::int64_t>(), large + size - 1);
  EXPECT_EQ(mixed[2].sizes(), at::IntArrayRef({size * (size + 1) / 2, 2, 2}));
  EXPECT_TRUE(mixed[2][0].all().item<bool>() && !mixed[2][1].any().item<bool>());
  EXPECT_TRUE(mixed[3].equal(rows_of_all(size).to(at::kBFloat16)));

  // What can't be is refused on all ranks alike, and they go on.
  EXPECT_THROW(ranks.gather(at::zeros({2, rank + 1})), Error);
  EXPECT_THROW(ranks.sum(at::zeros({2}, at::kShort)), Error);
  EXPECT_THROW(ranks.sum(at::Tensor()), Error);
  EXPECT_THROW(ranks.broadcast(at::zeros({2}), size), Error);

  auto told = at::full({3}, static_cast<double>(rank));
  ranks.broadcast(told, 1);
  EXPECT_TRUE(told.eq(1).all().item<bool>());
  ranks.barrier();
}

/// Every rank's loss is a function of all rows; the gradient of a rank's rows is that of the losses' sum.
TEST(Rank, DISABLED_GathersWithGradient) {
  const auto ranks = Ranks::from_environment();
  const auto loss_of = [](const at::Tensor& all, int rank) {
    return (all.square() * (rank + 1) + all.sin() * all.flip(0)).sum();
  };
  auto rows = rows_of(ranks.rank()).requires_grad_();
  loss_of(ranks.gather(rows), ranks.rank()).backward();

  auto all = rows_of_all(ranks.size()).requires_grad_();
  auto loss = at::zeros({}, at::kDouble);
  for (int r = 0; r < ranks.size(); ++r) loss = loss + loss_of(all, r);
  loss.backward();
  const auto before = ranks.rank() * (ranks.rank() + 1) / 2;
  EXPECT_LT((rows.grad() - all.grad().narrow(0, before, ranks.rank() + 1)).abs().max().item<double>(), 1e-9);
}

TEST(Rank, DISABLED_WaitsForAll) {
  const auto ranks = Ranks::from_environment({.timeout = std::chrono::seconds(4)});
  try {
    for (;;) ranks.barrier();
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::_Exit(1);
  }
}

TEST(Rank, DISABLED_OneFails) {
  const auto ranks = Ranks::from_environment();
  if (ranks.rank() == 1) {
    ranks.fail("its disk is full");
    std::_Exit(1);
  }
  EXPECT_THROW(
      {
        try {
          for (;;) ranks.barrier();
        } catch (const Error& error) {
          std::fprintf(stderr, "%s\n", error.what());
          throw;
        }
      },
      Error);
}

// ---- who starts them ----

TEST(RanksTest, SumGatherAndBroadcastAmongThree) { expect_all_well(run_job(3, "Rank.DISABLED_Collects")); }

TEST(RanksTest, TheGradientOfGatheredRowsIsThatOfAllRanksLosses) {
  for (const int size : {2, 4}) expect_all_well(run_job(size, "Rank.DISABLED_GathersWithGradient"));
}

TEST(RanksTest, OneProcessAloneHasNothingToExchange) {
  const Ranks alone;
  EXPECT_TRUE(alone.alone());
  auto rows = at::randn({2, 3});
  EXPECT_TRUE(alone.gather(rows).is_same(rows));
  const auto before = rows.clone();
  alone.sum(rows), alone.broadcast(rows), alone.barrier(), alone.fail("nobody hears it");
  EXPECT_TRUE(rows.equal(before));
  EXPECT_EQ(alone.gather("text"), std::vector<std::string>{"text"});
  EXPECT_EQ(alone.bytes_sent(), 0);
}

TEST(RanksTest, AKilledRankIsNamedByTheOthers) {
  test::expect_lost_rank_named("Rank.DISABLED_WaitsForAll", 1, SIGKILL);
  test::expect_lost_rank_named("Rank.DISABLED_WaitsForAll", 0, SIGKILL);  // which holds the store
}

TEST(RanksTest, AStoppedRankIsNamedByTheOthers) {
  test::expect_lost_rank_named("Rank.DISABLED_WaitsForAll", 2, SIGSTOP);
  test::expect_lost_rank_named("Rank.DISABLED_WaitsForAll", 0, SIGSTOP);
}

TEST(RanksTest, ARankThatFailsTellsTheOthersWhy) {
  const auto ends = run_job(3, "Rank.DISABLED_OneFails");
  for (const std::size_t rank : {0, 2}) {
    EXPECT_EQ(ends[rank].status, 0) << ends[rank].said;
    EXPECT_NE(ends[rank].said.find("ended: its disk is full"), std::string::npos) << ends[rank].said;
  }
}

TEST(RanksTest, WhatCannotBeIsRefused) {
  const auto refusal = [](const std::string& store, int rank, int size) -> std::string {
    try {
      Ranks(store, rank, size);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(refusal("127.0.0.1:20000", 2, 2), "[Ranks] rank: expected 0 to 1, got 2");
  EXPECT_EQ(refusal("127.0.0.1:20000", 0, 0), "[Ranks] size: expected at least 1, got 0");
  EXPECT_EQ(refusal("", 0, 2), "[Ranks] store: expected HOST:PORT or a file's path, got none");
}

// ---- what launchers say ----

using Variables = std::map<std::string, std::string>;

JobPlace place_of(const Variables& variables) {
  return read_job_place([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

std::string refusal_of(const Variables& variables) {
  try {
    place_of(variables);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(JobPlaceTest, IsReadAsEachLauncherSaysIt) {
  EXPECT_EQ(place_of({}).size, 1);
  const auto torchrun = place_of({{"RANK", "3"},
                                  {"WORLD_SIZE", "8"},
                                  {"LOCAL_RANK", "1"},
                                  {"MASTER_ADDR", "a"},
                                  {"MASTER_PORT", "1234"},
                                  {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                                  {"TORCHELASTIC_RESTART_COUNT", "2"}});
  EXPECT_EQ(torchrun.rank, 3);
  EXPECT_EQ(torchrun.size, 8);
  EXPECT_EQ(torchrun.local_rank, 1);
  EXPECT_EQ(torchrun.host, "a");
  EXPECT_EQ(torchrun.port, 1234);
  EXPECT_TRUE(torchrun.store_is_served);
  EXPECT_EQ(torchrun.prefix, "vlalign/2");
  const auto mpirun = place_of({{"OMPI_COMM_WORLD_RANK", "1"},
                                {"OMPI_COMM_WORLD_SIZE", "2"},
                                {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}});
  EXPECT_EQ(mpirun.rank, 1);
  EXPECT_EQ(mpirun.host, "127.0.0.1");
  const auto srun = place_of(
      {{"SLURM_PROCID", "5"}, {"SLURM_NTASKS", "16"}, {"SLURM_LOCALID", "1"}, {"SLURM_STEP_NODELIST", "node[3-5,9]"}});
  EXPECT_EQ(srun.rank, 5);
  EXPECT_EQ(srun.size, 16);
  EXPECT_EQ(srun.host, "node3");
  EXPECT_EQ(place_of({{"PMI_RANK", "1"}, {"PMI_SIZE", "4"}}).size, 4);
  EXPECT_EQ(place_of({{"SLURM_NTASKS", "4"}}).size, 1);  // a shell of salloc's
}

TEST(JobPlaceTest, FirstHostOfSlurmsLists) {
  EXPECT_EQ(first_host("node7"), "node7");
  EXPECT_EQ(first_host("a,b"), "a");
  EXPECT_EQ(first_host("gpu[012-015],cpu1"), "gpu012");
  EXPECT_EQ(first_host("a1,b[2-3]"), "a1");
}

TEST(JobPlaceTest, WhatIsNoNumberIsNamed) {
  EXPECT_EQ(refusal_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}}), "RANK: expected a number from 0 to 1, got \"x\"");
  EXPECT_EQ(refusal_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), "RANK: expected a number from 0 to 1, got \"2\"");
  EXPECT_EQ(refusal_of({{"RANK", "1"}}), "RANK is set and WORLD_SIZE isn't: a job of several processes needs both");
  EXPECT_EQ(refusal_of({{"WORLD_SIZE", "2"}}),
            "WORLD_SIZE is set and RANK isn't: a job of several processes needs both");
  EXPECT_EQ(refusal_of({{"MASTER_PORT", "0"}}), "MASTER_PORT: expected a number from 1 to 65535, got \"0\"");
  EXPECT_EQ(
      refusal_of({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}}),
      "MASTER_ADDR: 2 of the job's 4 processes are on this host; set it to the host of rank 0");
}

}  // namespace
}  // namespace vlalign::ranks_test
