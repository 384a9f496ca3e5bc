#include "vlalign/train/optimizer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/train/schedule.hpp"

namespace vlalign::optimizer_test {
namespace {

NamedTensors peer_figures() {
  return read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "train" / "figures.safetensors").tensors;
}

TEST(AdamW, FollowsThePeerThroughAScheduleWithClipping) {
  const auto figures = peer_figures();
  auto weight = figures.at("adamw.weight.0").clone().requires_grad_(),
       bias = figures.at("adamw.bias.0").clone().requires_grad_();
  Optimizer optimizer({{"weight", weight}, {"bias", bias}}, AdamWOptions{.weight_decay = 0.2});
  for (int step = 0; step < 10; ++step) {
    const auto at_step = [&](const char* name, int number) {
      return figures.at(std::string("adamw.") + name + "." + std::to_string(number));
    };
    weight.mutable_grad() = at_step("weight_grad", step).clone();
    bias.mutable_grad() = at_step("bias_grad", step).clone();
    optimizer.clip_grad_norm(optimizer.grad_norm(), 2.0);
    optimizer.step(1e-3 * warmup_cosine(step, 3, 10));
    EXPECT_TRUE(weight.allclose(at_step("weight", step + 1), 1e-6, 1e-7)) << "step " << step;
    EXPECT_TRUE(bias.allclose(at_step("bias", step + 1), 1e-6, 1e-7)) << "step " << step;
  }
}

TEST(AdamW, ReadsAGradientThatLiesOtherwiseThanItsParameter) {
  const auto gradient = peer_figures().at("adamw.weight_grad.0");  // [4, 3]
  auto plain = at::ones({4, 3}).requires_grad_(), turned = at::ones({4, 3}).requires_grad_();
  auto upright = at::ones({3, 4}).t().requires_grad_();  // a parameter that is itself not contiguous
  Optimizer optimizer({{"plain", plain}, {"turned", turned}, {"upright", upright}}, {});
  plain.mutable_grad() = gradient.clone();
  turned.mutable_grad() = gradient.t().contiguous().t();
  upright.mutable_grad() = gradient.clone();
  optimizer.step(0.1);
  EXPECT_TRUE(turned.equal(plain));
  EXPECT_TRUE(upright.equal(plain));
}

/// Rows that a step doesn't touch still decay and still move by their moments.
TEST(AdamW, TakesTheSparseGradientOfATableAsTheDenseOne) {
  const auto start = at::randn({200, 4});
  auto sparse = start.clone().requires_grad_(), dense = start.clone().requires_grad_();
  Optimizer of_sparse({{"table", sparse}}, {}), of_dense({{"table", dense}}, {});
  for (int step = 0; step < 5; ++step) {
    const auto tokens = at::randint(0, 200, {2, 3}).index_fill(1, at::zeros({1}, at::kLong), 7);  // 7 comes twice
    const auto upstream = at::randn({2, 3, 4});
    for (int use = 0; use < 2; ++use) {  // as the pieces of a gradient cache add up
      nn::look_up(sparse, tokens).backward(upstream);
      at::embedding(dense, tokens).backward(upstream);
    }
    ASSERT_TRUE(sparse.grad().is_sparse());
    const auto norm = of_sparse.grad_norm();
    EXPECT_TRUE(norm.allclose(of_dense.grad_norm(), 1e-6));
    of_sparse.clip_grad_norm(norm, 0.5);
    of_dense.clip_grad_norm(norm, 0.5);
    of_sparse.step(0.01);
    of_dense.step(0.01);
    of_sparse.zero_grad();
    of_dense.zero_grad();
    EXPECT_TRUE(sparse.allclose(dense, 1e-6, 1e-7)) << "step " << step;
  }
}

TEST(AdamW, LeavesParametersWithoutAGradientAlone) {
  auto used = at::ones({2, 2}).requires_grad_(), unused = at::ones({2, 2}).requires_grad_(), frozen = at::ones({2, 2});
  Optimizer optimizer({{"used", used}, {"unused", unused}, {"frozen", frozen}}, {});
  used.sum().backward();
  optimizer.step(0.1);
  EXPECT_FALSE(used.equal(at::ones({2, 2})));
  EXPECT_TRUE(unused.equal(at::ones({2, 2})));
  EXPECT_TRUE(frozen.equal(at::ones({2, 2})));
  EXPECT_FALSE(optimizer.state().contains("frozen.exp_avg"));
}

TEST(AdamW, DecaysMatricesButNoVectorsAndNoPositions) {
  Optimizer::NamedParameters parameters;
  for (const auto* name : {"mlp.weight", "visual.positional_embedding"})
    parameters.emplace_back(name, at::ones({2, 2}).requires_grad_());
  parameters.emplace_back("ln.weight", at::ones({2}).requires_grad_());
  Optimizer optimizer(parameters, AdamWOptions{.weight_decay = 0.5});
  for (auto& [name, parameter] : parameters) parameter.mutable_grad() = parameter.detach() * 0.0;
  optimizer.step(0.1);  // with a zero gradient only decay moves anything: p (1 - lr * decay)
  EXPECT_NEAR(parameters[0].second[0][0].item<double>(), 0.95, 1e-6);
  EXPECT_EQ(parameters[1].second[0][0].item<double>(), 1.0);
  EXPECT_EQ(parameters[2].second[0].item<double>(), 1.0);
}

TEST(AdamW, DecaysNoPositionAndNoTokenTypeOfABert) {
  TextConfig config{.architecture = TextConfig::Architecture::bert, .context_length = 8, .vocab_size = 10};
  config.width = 4, config.heads = 1, config.layers = 1;
  config.pool = TextConfig::Pool::first, config.causal = false;
  nn::Initializer initializer(1);
  nn::Bert bert(config, initializer);
  Optimizer::NamedParameters parameters;
  std::map<std::string, at::Tensor> before;
  for (const auto& item : bert.named_parameters()) {
    parameters.emplace_back("text." + item.key(), item.value());
    before[item.key()] = item.value().detach().clone();
  }
  Optimizer optimizer(parameters, AdamWOptions{.weight_decay = 0.5});
  const auto pooled = bert.forward(at::ones({2, 3}, at::kLong), at::kFloat);
  (pooled * at::arange(4)).sum().backward();
  optimizer.step(0.1);
  const auto changed = [&](const char* table, std::int64_t row) {
    const auto name = "embeddings." + std::string(table) + ".weight";
    return !bert.named_parameters()[name][row].equal(before.at(name)[row]);
  };
  for (std::int64_t place = 0; place < 8; ++place) EXPECT_EQ(changed("position_embeddings", place), place < 3) << place;
  EXPECT_TRUE(changed("token_type_embeddings", 0));
  EXPECT_FALSE(changed("token_type_embeddings", 1));
  const auto word = before.at("embeddings.word_embeddings.weight")[5];  // one that isn't there: decay alone
  EXPECT_TRUE(bert.word_embeddings[5].allclose(word * 0.95));
}

TEST(AdamW, SaysWhatAStepMoves) {
  const auto used = at::ones({2}).requires_grad_(), unused = at::ones({2}).requires_grad_(),
             slow = at::ones({2}).requires_grad_(), foreign = at::ones({2}).requires_grad_();
  const Optimizer optimizer({{"used", used}, {"unused", unused}, {"slow", slow}}, {}, {{"slow", 0.0}});
  (used + slow + foreign).sum().backward();
  EXPECT_TRUE(optimizer.moves(used, 0.1));
  EXPECT_FALSE(optimizer.moves(used, 0));
  for (const auto& still : {unused, slow, foreign}) EXPECT_FALSE(optimizer.moves(still, 0.1));
}

TEST(Schedule, EqualsThePeersWarmupAndCosine) {
  const auto rates = peer_figures().at("schedule");
  for (int step = 0; step < 10; ++step)
    EXPECT_NEAR(warmup_cosine(step, 3, 10), rates[step].item<double>(), 1e-9) << step;
}

TEST(Schedule, NeedsNoWarmup) { EXPECT_DOUBLE_EQ(warmup_cosine(0, 0, 10), 1.0); }

}  // namespace
}  // namespace vlalign::optimizer_test
