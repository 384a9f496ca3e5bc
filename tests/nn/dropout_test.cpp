// Dropout and stochastic depth: how often and where, and the same again where a pass is computed twice.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::dropout_test {
namespace {

void seed(std::uint64_t value) {
  auto generator = at::detail::getDefaultCPUGenerator();
  generator.set_current_seed(value);
}

std::shared_ptr<nn::Transformer> transformer(const BlockConfig& block, std::int64_t layers = 3) {
  nn::Initializer initializer(1);
  return std::make_shared<nn::Transformer>(
      nn::TransformerOptions{.width = 8, .heads = 2, .layers = layers, .layer_scale = 0.5, .block = block},
      initializer);
}

TEST(Dropout, LeavesOutItsShareAndTheRestGrowsForIt) {
  seed(1);
  const auto y = nn::dropped(at::ones({200000}), 0.3, /*training=*/true);
  EXPECT_NEAR((y == 0).to(at::kFloat).mean().item<double>(), 0.3, 0.005);
  EXPECT_NEAR(y.max().item<double>(), 1 / 0.7, 1e-6);
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.01);
  EXPECT_TRUE(nn::dropped(y, 0.3, /*training=*/false).is_same(y));
}

TEST(Dropout, OfAttentionsWeightsKeepsTheirExpectation) {
  seed(2);
  const auto v = at::ones({1, 1, 5, 4});
  const auto q = at::randn({1, 1, 20000, 4}), k = at::randn({1, 1, 5, 4});
  const auto y = nn::attention(q, k, v, {}, {}, 0.25);
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.01);
  EXPECT_GT(y.std().item<double>(), 0.1);
}

/// The share of 4000 items that a block's attention leaves as they are.
double share_left_out(const nn::ResidualBlock& block) {
  const at::NoGradGuard no_grad;
  block.mlp->c_proj->weight.zero_(), block.mlp->c_proj->bias.zero_();
  const auto x = at::randn({4000, 3, 8});
  return (block.forward(x, x, {}) == x).all(-1).all(-1).to(at::kFloat).mean().item<double>();
}

TEST(StochasticDepth, RisesEvenlyFromTheFirstBlockToTheLast) {
  seed(3);
  const auto blocks = transformer({.drop_path = 0.4});
  EXPECT_EQ(share_left_out(*blocks->resblocks[0]), 0);
  EXPECT_NEAR(share_left_out(*blocks->resblocks[1]), 0.2, 0.03);
  EXPECT_NEAR(share_left_out(*blocks->resblocks[2]), 0.4, 0.03);
  blocks->eval();
  EXPECT_EQ(share_left_out(*blocks->resblocks[2]), 0);
}

TEST(StochasticDepth, WhatStaysGrowsForWhatGoes) {
  const at::NoGradGuard no_grad;
  seed(4);
  const auto blocks = transformer({.drop_path = 0.4}, 2);
  const auto& block = *blocks->resblocks[1];
  block.mlp->c_proj->weight.zero_(), block.mlp->c_proj->bias.zero_();
  const auto x = at::randn({50, 3, 8});
  const auto trained = block.forward(x, x, {}) - x;
  blocks->eval();
  const auto whole = (block.forward(x, x, {}) - x) / 0.6;
  const auto kept = (trained != 0).any(-1, true).any(1, true);
  EXPECT_LT((trained - whole * kept).abs().max().item<double>(), 1e-5);
}

struct Pass {
  at::Tensor output, next_draw;
  std::vector<at::Tensor> gradients;
};

Pass pass(bool checkpoints) {
  const auto blocks = transformer({.dropout = 0.2, .attention_dropout = 0.3, .drop_path = 0.4});
  blocks->checkpoints = checkpoints;
  seed(5);
  const auto x = at::randn({6, 3, 8}).requires_grad_();
  Pass result;
  result.output = blocks->forward(x, {});
  result.output.square().sum().backward();
  result.next_draw = at::rand({4});
  result.gradients.push_back(x.grad());
  for (const auto& parameter : blocks->parameters()) result.gradients.push_back(parameter.grad());
  return result;
}

TEST(Checkpointing, DrawsTheSameTheSecondTimeAndLeavesTheGeneratorWhereItWas) {
  const auto plain = pass(false), again = pass(false), checkpointed = pass(true);
  EXPECT_TRUE(plain.output.equal(again.output));
  EXPECT_TRUE(plain.output.equal(checkpointed.output));
  EXPECT_TRUE(plain.next_draw.equal(checkpointed.next_draw));
  ASSERT_EQ(plain.gradients.size(), checkpointed.gradients.size());
  for (std::size_t i = 0; i < plain.gradients.size(); ++i)
    EXPECT_TRUE(plain.gradients[i].equal(checkpointed.gradients[i])) << "gradient " << i;
}

TEST(Bert, DropsItsEmbeddingsWhileTraining) {
  const at::NoGradGuard no_grad;
  nn::Initializer initializer(1);
  TextConfig config{.architecture = TextConfig::Architecture::bert,
                    .context_length = 6,
                    .vocab_size = 20,
                    .width = 8,
                    .heads = 2,
                    .layers = 0,
                    .pool = TextConfig::Pool::first,
                    .causal = false};
  config.block.dropout = 0.5;
  nn::Bert bert(config, initializer);
  const auto tokens = at::ones({2000, 4}, at::kLong);
  seed(6);
  const auto tokens_of = [&] { return bert.features(tokens, at::kFloat, {}).tokens; };
  EXPECT_NEAR((tokens_of() == 0).to(at::kFloat).mean().item<double>(), 0.5, 0.02);
  bert.eval();
  EXPECT_EQ((tokens_of() == 0).sum().item<std::int64_t>(), 0);
}

}  // namespace
}  // namespace vlalign::dropout_test
