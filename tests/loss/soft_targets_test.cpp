// Soft targets made by rows against a loss written out densely in double: the cross-entropy with a whole matrix.
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/softplus.h>
#include <gtest/gtest.h>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/loss/sigmoid.hpp"

namespace vlalign::soft_targets_test {
namespace {

using Loss = std::function<at::Tensor(const ContrastiveBatch&)>;

at::Tensor logits_of(const ContrastiveBatch& b) { return b.logit_scale * at::matmul(b.image, b.text.t()); }

/// Of the rows `own`, each image's wanted texts being a row of W divided by its sum, each text's wanted images a
/// column.
at::Tensor dense_info_nce(const ContrastiveBatch& b) {
  const auto logits = logits_of(b), w = b.soft_targets.dense();
  const auto [begin, count] = b.own.value_or(tiles::RowRange{0, w.size(0)});
  const auto texts = (w / w.sum(1, true) * at::log_softmax(logits, 1)).sum(1).narrow(0, begin, count);
  const auto images = (w / w.sum(0, true) * at::log_softmax(logits, 0)).sum(0).narrow(0, begin, count);
  return -(texts.sum() + images.sum()) / (2.0 * static_cast<double>(count));
}

at::Tensor dense_sigmoid(const ContrastiveBatch& b) {
  const auto logits = logits_of(b) + b.logit_bias;
  const auto [begin, count] = b.own.value_or(tiles::RowRange{0, logits.size(0)});
  return (at::softplus(logits) - b.soft_targets.dense() * logits).narrow(0, begin, count).sum() /
         static_cast<double>(count);
}

/// More rows than one block of them holds.
ContrastiveBatch large_batch(const at::Tensor& targets) {
  const auto size = targets.size(0);
  ContrastiveBatch batch{test::unit_rows(size, 5).requires_grad_(), test::unit_rows(size, 5).requires_grad_(),
                         test::scalar(7).requires_grad_()};
  batch.logit_bias = test::scalar(-3).requires_grad_();
  batch.soft_targets = {size, [targets](tiles::RowRange rows) { return targets.narrow(0, rows.begin, rows.count); }};
  return batch;
}

void expect_alike(const Loss& loss, const Loss& dense, const ContrastiveBatch& batch) {
  const auto value_and_gradients = [&](const Loss& one) {
    std::vector<at::Tensor> results{one(batch)};
    results[0].backward();
    for (const auto& leaf : {batch.image, batch.text, batch.logit_scale}) {
      results.push_back(leaf.grad().clone());
      leaf.mutable_grad().reset();
    }
    return results;
  };
  const auto got = value_and_gradients(loss), expected = value_and_gradients(dense);
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_LT((got[i] - expected[i]).abs().max().item<double>(), 1e-10 * (1 + expected[i].abs().max().item<double>()))
        << i;
}

const Loss info_nce = [](const ContrastiveBatch& b) { return InfoNCE().forward(b); };
const Loss sigmoid = [](const ContrastiveBatch& b) { return SigmoidLoss().forward(b); };

TEST(SoftTargets, MadeByRowsGiveTheLossAndTheGradientOfTheWholeMatrix) {
  auto batch = large_batch(at::rand({1600, 1600}, at::kDouble));
  expect_alike(info_nce, dense_info_nce, batch);
  expect_alike(sigmoid, dense_sigmoid, batch);
  batch.soft_targets = batch.soft_targets.dense();
  expect_alike(info_nce, dense_info_nce, batch);
}

TEST(SoftTargets, MadeByRowsServeAProcessThatAnswersForSomeRows) {
  auto batch = large_batch(at::rand({30, 30}, at::kDouble));
  for (const auto own : {tiles::RowRange{0, 10}, tiles::RowRange{10, 10}, tiles::RowRange{20, 10}}) {
    batch.own = own;
    expect_alike(info_nce, dense_info_nce, batch);
    expect_alike(sigmoid, dense_sigmoid, batch);
  }
}

TEST(SoftTargets, MadeByRowsAreCheckedWhenTheyAreMade) {
  auto batch = large_batch(at::rand({4, 4}, at::kDouble));
  const auto message = [&](std::int64_t size, const at::Tensor& block) {
    batch.soft_targets = {size, [block](tiles::RowRange) { return block; }};
    return test::message_of<Error>([&] { InfoNCE().forward(batch); });
  };
  EXPECT_EQ(message(3, at::rand({3, 3})), "[InfoNCE] soft_targets: expected 4 rows, got 3");
  EXPECT_EQ(message(4, at::rand({4, 3})), "[InfoNCE] soft_targets: expected floating rows [4, 4], got Float [4, 3]");
  EXPECT_EQ(message(4, {}), "[InfoNCE] soft_targets: expected floating rows [4, 4], got none");
  EXPECT_EQ(message(4, at::rand({4, 4}) - 2).substr(0, 52), "[InfoNCE] soft_targets: expected no negative one, go");
}

}  // namespace
}  // namespace vlalign::soft_targets_test
