// Attention in blocks against its formula in double precision.
#include "kernels/attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include <limits>

namespace vlalign::attention_test {
namespace {

class AttentionInBlocks : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    const at::NoGradGuard no_graph;
    const auto x = at::randn({2, 1, 2, 4}).to(GetParam());
    if (!fits_blocks(x, x, x)) GTEST_SKIP() << "this processor has no such kernel";
  }
};

INSTANTIATE_TEST_SUITE_P(Types, AttentionInBlocks, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

struct Inputs {
  at::Tensor q, k, v;
};

Inputs inputs_of(std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t keys, std::int64_t width,
                 at::ScalarType type) {
  // As a projection of all three gives them: a head's rows lie apart.
  const auto drawn = [&](std::int64_t length) {
    return at::randn({batch, length, heads, 2 * width}).to(type).narrow(3, 1, width).transpose(1, 2);
  };
  return {drawn(rows), drawn(keys), drawn(keys)};
}

at::Tensor formula(const Inputs& in, const at::Tensor& mask, double scale) {
  auto logits = at::matmul(in.q.to(at::kDouble), in.k.to(at::kDouble).transpose(-2, -1)) * scale;
  if (mask.defined()) logits = logits + mask.to(at::kDouble);
  return at::matmul(at::softmax(logits, -1), in.v.to(at::kDouble));
}

/// Values are around 1 and logits up to 12, with the rounding of a hundred terms; of bfloat16 the weights and the
/// result are rounded, each by 1 in 256 at most.
double allowed(at::ScalarType type) { return type == at::kFloat ? 1e-5 : 0.02; }

void expect_formula(const Inputs& in, const at::Tensor& mask, double scale) {
  const auto got = attention_in_blocks(in.q, in.k, in.v, mask, scale);
  ASSERT_EQ(got.sizes(), in.q.sizes());
  ASSERT_EQ(got.scalar_type(), in.q.scalar_type());
  EXPECT_LT((got.to(at::kDouble) - formula(in, mask, scale)).abs().max().item<double>(), allowed(got.scalar_type()))
      << in.q.sizes() << " with " << in.k.sizes();
}

TEST_P(AttentionInBlocks, IsTheFormulaInAnySize) {
  const at::NoGradGuard no_graph;
  for (const std::int64_t width : {2, 24, 32, 64, 80, 96})
    for (const auto& [rows, keys] :
         {std::pair<std::int64_t, std::int64_t>{1, 1}, {1, 77}, {13, 13}, {27, 33}, {50, 50}, {197, 197}, {5, 300}})
      expect_formula(inputs_of(2, 3, rows, keys, width, GetParam()), {}, 0.3);
}

TEST_P(AttentionInBlocks, TakesMasksOfAnyBroadcastShape) {
  const at::NoGradGuard no_graph;
  const auto in = inputs_of(2, 3, 20, 35, 16, GetParam());
  for (const auto& shape : {std::vector<std::int64_t>{2, 3, 20, 35}, {20, 35}, {2, 1, 1, 35}, {3, 1, 35}, {3, 20, 1}}) {
    const auto mask = at::randn(shape).to(GetParam());
    expect_formula(in, mask, 0.25);
    const auto hidden = at::rand(shape).lt(0.3).logical_and(at::rand(shape).lt(0.9));
    if (shape.back() > 1) expect_formula(in, mask.masked_fill(hidden, -std::numeric_limits<double>::infinity()), 0.25);
  }
}

TEST_P(AttentionInBlocks, HoldsLargeAndSmallLogits) {
  const at::NoGradGuard no_graph;
  auto in = inputs_of(1, 1, 9, 40, 8, GetParam());
  expect_formula(in, {}, 100.0);
  expect_formula(in, {}, 1e-6);
  expect_formula(in, at::randn({9, 40}) * 1000, 1.0);
}

TEST_P(AttentionInBlocks, KeepsNotANumber) {
  const at::NoGradGuard no_graph;
  auto in = inputs_of(1, 2, 30, 40, 8, GetParam());
  in.q[0][1][7][3] = std::numeric_limits<float>::quiet_NaN();
  const auto got = attention_in_blocks(in.q, in.k, in.v, {}, 1.0);
  EXPECT_TRUE(got[0][1][7].isnan().all().item<bool>());
  EXPECT_EQ(got.isnan().sum().item<std::int64_t>(), 8);
}

TEST_P(AttentionInBlocks, GivesTheSameBitsForAnyNumberOfThreads) {
  const at::NoGradGuard no_graph;
  const auto in = inputs_of(1, 3, 197, 197, 64, GetParam());
  const auto before = at::get_num_threads();
  at::set_num_threads(1);
  const auto one = attention_in_blocks(in.q, in.k, in.v, {}, 0.125);
  at::set_num_threads(2);
  const auto two = attention_in_blocks(in.q, in.k, in.v, {}, 0.125);
  at::set_num_threads(before);
  EXPECT_TRUE(one.equal(two));
}

}  // namespace
}  // namespace vlalign::attention_test
