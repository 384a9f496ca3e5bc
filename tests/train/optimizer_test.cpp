#include "vlalign/train/optimizer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
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
    optimizer.step(1e-3 * learning_rate_factor({.warmup = 3}, step, 10));
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

/// Its matrices alone have one moment; what stands at a model's ends has AdamW's two.
TEST(Muon, IsForTheMatricesOfLayers) {
  Optimizer::NamedParameters parameters;
  const auto add = [&](const char* name, at::IntArrayRef sizes) {
    parameters.emplace_back(name, at::ones(sizes).requires_grad_());
  };
  const auto matrices = {"visual.transformer.resblocks.0.attn.in_proj_weight", "text.encoder.mlp.c_fc.weight",
                         "encoder.text.pooler.weight", "fusion.block0.attn.q_proj_weight"};
  const auto others = {"text.token_embedding.weight", "text.embeddings.word_embeddings.weight",
                       "text_projection.weight",      "encoder.visual.positional_embedding",
                       "head.mlp.out.weight",         "text.mlp.c_fc.lora.a"};
  for (const auto* name : matrices) add(name, {6, 4});
  for (const auto* name : others) add(name, {6, 4});
  add("visual.conv1.weight", {4, 3, 2, 2});
  add("visual.ln_post.weight", {4});
  const auto state = Optimizer(parameters, MuonOptions()).state();
  for (const auto* name : matrices) EXPECT_TRUE(state.contains(std::string(name) + ".momentum_buffer")) << name;
  EXPECT_EQ(state.size(), matrices.size() + 3 * (others.size() + 2));
}

/// Not even where a user sets the decay to 0 is LAMB Adam: what isn't decayed by its kind is what isn't scaled.
TEST(Lamb, ScalesMatricesWithoutDecayToo) {
  auto matrix = at::full({2, 2}, 3.0).requires_grad_(), gain = at::full({4}, 3.0).requires_grad_();
  Optimizer optimizer({{"mlp.weight", matrix}, {"ln.weight", gain}}, LambOptions{.weight_decay = 0});
  matrix.mutable_grad() = at::ones({2, 2});
  gain.mutable_grad() = at::ones({4});
  optimizer.step(0.1);  // Adam's first update is 1 everywhere, of norm 2; the weights' norm is 6
  EXPECT_TRUE(matrix.allclose(at::full({2, 2}, 3.0 - 0.1 * 3), 1e-5));
  EXPECT_TRUE(gain.allclose(at::full({4}, 3.0 - 0.1), 1e-5));
}

TEST(OptimizerNames, AreReadAndTold) {
  for (const auto* name : {"adamw", "lamb", "lion", "muon"}) EXPECT_EQ(to_string(parse_optimizer(name)), name);
  EXPECT_TRUE(std::holds_alternative<MuonOptions>(parse_optimizer("muon")));
  EXPECT_EQ(test::message_of<Error>([] { parse_optimizer("AdamW"); }),
            "unknown optimizer \"AdamW\": it is adamw, lamb, lion or muon");
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

}  // namespace
}  // namespace vlalign::optimizer_test
