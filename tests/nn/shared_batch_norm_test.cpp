#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include "support/job.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::shared_batch_norm_test {
namespace {

using at::Tensor;

/// A rank's rows, two for rank 0 and one more for each after it, far from zero.
Tensor rows_of(int rank) {
  const auto rows = rank + 2;
  return (at::arange(rows * 3 * 4).to(at::kDouble) * (1.7 + rank)).sin().view({rows, 3, 2, 2}) + 5.0;
}

struct Passed {
  Tensor output, gradient, weight_gradient, running_mean, running_var;
};

Passed pass(const Tensor& rows, const Ranks& ranks) {
  const auto norm = std::make_shared<nn::BatchNorm2d>(3);
  norm->to(at::kDouble);
  norm->ranks = ranks;
  auto x = rows.clone().requires_grad_();
  const auto output = norm->forward(x);
  (output.pow(3) * (rows - 4.5)).sum().backward();
  return {output.detach(), x.grad(), norm->weight.grad(), norm->running_mean, norm->running_var};
}

double difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(RankWithNorm, DISABLED_SeesTheRowsOfAll) {
  const auto ranks = Ranks::from_environment();
  std::vector<Tensor> rows;
  for (int rank = 0; rank < ranks.size(); ++rank) rows.push_back(rows_of(rank));
  std::int64_t before = 0;
  for (int rank = 0; rank < ranks.rank(); ++rank) before += rows[static_cast<std::size_t>(rank)].size(0);
  const auto own = rows_of(ranks.rank());

  const auto shared = pass(own, ranks), alone = pass(at::cat(rows), Ranks());
  EXPECT_LT(difference(shared.output, alone.output.narrow(0, before, own.size(0))), 1e-12);
  EXPECT_LT(difference(shared.gradient, alone.gradient.narrow(0, before, own.size(0))), 1e-11);
  EXPECT_LT(difference(shared.running_mean, alone.running_mean), 1e-12);
  EXPECT_LT(difference(shared.running_var, alone.running_var), 1e-12);
  auto weight_gradient = shared.weight_gradient.clone();
  ranks.sum(weight_gradient);
  EXPECT_LT(difference(weight_gradient, alone.weight_gradient), 1e-11);
}

TEST(SharedBatchNorm, IsThatOfLibTorchOverAllRanksRows) {
  for (const auto& end : test::run_job(3, "RankWithNorm.DISABLED_SeesTheRowsOfAll"))
    EXPECT_EQ(end.status, 0) << end.said;
}

}  // namespace
}  // namespace vlalign::shared_batch_norm_test
