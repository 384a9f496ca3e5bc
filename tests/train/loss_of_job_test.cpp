// The ring of texts gives what the gathered batch gives.
#include "train/loss_of_job.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/job.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/sigmoid.hpp"

namespace vlalign::loss_of_job_test {
namespace {

/// Other rows on each rank, in float64.
ContrastiveBatch rows_of(int rank, std::int64_t count) {
  at::manual_seed(static_cast<std::uint64_t>(rank));
  const auto rows = [&] { return l2_normalize(at::randn({count, 24}, at::kDouble)).set_requires_grad(true); };
  return {.image = rows(),
          .text = rows(),
          .logit_scale = at::full({}, 7.0, at::kDouble).set_requires_grad(true),
          .logit_bias = at::full({}, -3.0, at::kDouble).set_requires_grad(true)};
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

/// The mean over the ranks, as a step averages.
at::Tensor averaged(const Ranks& ranks, const at::Tensor& numbers) {
  auto sum = numbers.detach().clone();
  ranks.sum(sum);
  return sum / ranks.size();
}

/// The mean over images of a sum over texts, weighted by the run's progress, without a bias.
class SquaredCosines : public ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& b) const override {
    const auto own = b.own.value_or(tiles::RowRange{0, b.image.size(0)});
    return sum(b, b.image.narrow(0, own.begin, own.count), b.text) / static_cast<double>(own.count);
  }
  std::string name() const override { return "squared cosines"; }
  SumOverTexts over_other_texts() const override {
    return [](const ContrastiveBatch& b, const at::Tensor& texts) { return sum(b, b.image, texts); };
  }

 private:
  static at::Tensor sum(const ContrastiveBatch& b, const at::Tensor& image, const at::Tensor& texts) {
    return (1 + b.progress) * b.logit_scale * image.matmul(texts.t()).square().sum();
  }
};

void expect_ring_as_gather(const Ranks& ranks, const ContrastiveLoss& loss, std::int64_t count) {
  auto gathered = rows_of(ranks.rank(), count), passed = rows_of(ranks.rank(), count);
  if (!loss.uses().logit_bias) gathered.logit_bias = passed.logit_bias = at::Tensor();
  gathered.progress = passed.progress = 0.25;
  const auto a = loss_of_job(ranks, loss, gathered, RowExchange::gather);
  const auto b = loss_of_job(ranks, loss, passed, RowExchange::ring);
  a.value.backward();
  b.value.backward();
  EXPECT_EQ(a.pairs, b.pairs);
  EXPECT_LT(largest_difference(averaged(ranks, a.value), averaged(ranks, b.value)), 1e-12);
  EXPECT_LT(largest_difference(averaged(ranks, a.accuracy), averaged(ranks, b.accuracy)), 1e-12);
  EXPECT_LT(largest_difference(gathered.image.grad(), passed.image.grad()), 1e-12);
  EXPECT_LT(largest_difference(gathered.text.grad(), passed.text.grad()), 1e-12);
  const auto of = [&](const at::Tensor& scalar) {
    if (!scalar.defined()) return at::zeros({});
    return averaged(ranks, scalar.grad().defined() ? scalar.grad() : at::zeros_like(scalar));
  };
  EXPECT_LT(largest_difference(of(gathered.logit_scale), of(passed.logit_scale)), 1e-12);
  EXPECT_LT(largest_difference(of(gathered.logit_bias), of(passed.logit_bias)), 1e-12);
}

// ---- in the processes of a job ----

TEST(RankWithLoss, DISABLED_RingAsGather) {
  const auto ranks = Ranks::from_environment();
  for (const std::int64_t rows : {5, ranks.rank() == 0 ? 3 : 4, ranks.rank() == 1 ? 0 : 4}) {
    expect_ring_as_gather(ranks, SigmoidLoss(), rows);
    expect_ring_as_gather(ranks, SquaredCosines(), rows);
  }
}

/// 8 numbers a row and rank: the texts in float64 go out, their gradients come home.
TEST(RankWithLoss, DISABLED_BytesOfTheRing) {
  const auto ranks = Ranks::from_environment();
  const auto rows = rows_of(ranks.rank(), 64);
  const auto before = ranks.bytes_sent();
  loss_of_job(ranks, SigmoidLoss(), rows, RowExchange::ring).value.backward();
  const auto formula = 2.0 * 64 * 24 * 8 * (ranks.size() - 1);
  EXPECT_NEAR(static_cast<double>(ranks.bytes_sent() - before) / formula, 1, 0.02);
}

TEST(RankWithLoss, DISABLED_RingUntilOneIsLost) {
  const auto ranks = Ranks::from_environment({.timeout = std::chrono::seconds(4)});
  try {
    for (;;) loss_of_job(ranks, SigmoidLoss(), rows_of(ranks.rank(), 3000), RowExchange::ring);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::_Exit(1);
  }
}

// ---- who starts them ----

TEST(LossOfJobTest, ARingOfTextsGivesWhatGatheringGives) {
  for (const int size : {2, 3, 4, 5})
    for (const auto& end : test::run_job(size, "RankWithLoss.DISABLED_RingAsGather"))
      EXPECT_EQ(end.status, 0) << size << " ranks: " << end.said;
}

TEST(LossOfJobTest, ARingSendsWhatItsFormulaSays) {
  for (const int size : {2, 4})
    for (const auto& end : test::run_job(size, "RankWithLoss.DISABLED_BytesOfTheRing"))
      EXPECT_EQ(end.status, 0) << end.said;
}

TEST(LossOfJobTest, ARankThatIsLostInTheRingIsNamed) {
  test::expect_lost_rank_named("RankWithLoss.DISABLED_RingUntilOneIsLost", 1, SIGKILL);
  test::expect_lost_rank_named("RankWithLoss.DISABLED_RingUntilOneIsLost", 2, SIGSTOP);
}

TEST(LossOfJobTest, TheRingIsForLargeBatchesOfLossesThatAllowIt) {
  auto rows = rows_of(0, 4);
  EXPECT_EQ(choose_exchange(SigmoidLoss(), rows, 1 << 20), RowExchange::ring);
  EXPECT_EQ(choose_exchange(SigmoidLoss(), rows, 1 << 10), RowExchange::gather);
  EXPECT_EQ(choose_exchange(InfoNCE(), rows, 1 << 20), RowExchange::gather);
  rows.groups = at::tensor({0, 1, 2, 0});
  EXPECT_EQ(choose_exchange(SigmoidLoss(), rows, 1 << 20), RowExchange::gather);
}

}  // namespace
}  // namespace vlalign::loss_of_job_test
