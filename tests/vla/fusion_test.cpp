#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "fusion_input.hpp"
#include "support/layers_by_hand.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/train/optimizer.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/regression_head.hpp"

namespace vlalign::vla::fusion_test {
namespace {

using test::batch;
using test::length;
using test::message_of;
using test::random_input;
using test::sizes;

class EachFusion : public testing::TestWithParam<std::string> {
 protected:
  static std::shared_ptr<Fusion> make_random(const FusionSizes& wanted = sizes) {
    nn::Initializer initializer(1);
    const auto fusion = make_fusion(GetParam(), wanted, initializer);
    test::randomize(*fusion);
    return fusion;
  }
};

TEST_P(EachFusion, WhatStandsInPaddingChangesNotABit) {
  const auto fusion = make_random();
  const auto input = random_input();
  auto other = input;
  const auto nan = at::full_like(input.text_tokens, std::numeric_limits<float>::quiet_NaN());
  other.text_tokens = input.text_tokens.where(input.text_mask.unsqueeze(-1), nan);
  const auto joint_nan = at::full_like(input.joint_words, std::numeric_limits<float>::quiet_NaN());
  other.joint_words = input.joint_words.where(input.text_mask.unsqueeze(-1), joint_nan);
  EXPECT_TRUE(fusion->forward(input).equal(fusion->forward(other)));
}

TEST_P(EachFusion, MorePaddingChangesNothing) {
  const auto fusion = make_random();
  const auto input = random_input();
  auto longer = input;
  longer.text_tokens = at::cat({input.text_tokens, at::randn({batch, 4, sizes.text_tokens})}, 1);
  longer.joint_words = at::cat({input.joint_words, at::randn({batch, 4, sizes.joint})}, 1);
  longer.text_mask = at::cat({input.text_mask, at::zeros({batch, 4}, at::kBool)}, 1);
  EXPECT_LT((fusion->forward(input) - fusion->forward(longer)).abs().max().item<double>(), 1e-5);
}

TEST_P(EachFusion, TheOrderOfVisualTokensDoesNotChangeTheVector) {
  const auto fusion = make_random();
  const auto input = random_input();
  auto other = input;
  const auto order = at::tensor({2, 0, 3, 1});
  other.visual_tokens = input.visual_tokens.index_select(1, order);
  other.joint_visual = input.joint_visual.index_select(1, order);
  const auto change = (fusion->vector(input) - fusion->vector(other)).abs().max().item<double>();
  if (GetParam() == "pointing") {
    EXPECT_GT(change, 1e-3);  // its places are those of the grid
  } else {
    EXPECT_LT(change, 1e-5);
  }
}

TEST_P(EachFusion, SamplesDoNotMix) {
  const auto fusion = make_random();
  const auto input = random_input();
  const auto one = [&](const Tensor& x) { return x.narrow(0, 1, 1); };
  const FusionInput alone{.visual_tokens = one(input.visual_tokens),
                          .pooled_visual = one(input.pooled_visual),
                          .maps = {one(input.maps[0]), one(input.maps[1])},
                          .text_tokens = one(input.text_tokens),
                          .text_mask = one(input.text_mask),
                          .joint_visual = one(input.joint_visual),
                          .joint_words = one(input.joint_words),
                          .pooled_text = one(input.pooled_text),
                          .state = one(input.state)};
  const auto expected = fusion->forward(alone)[0];
  const auto largest = std::max(1.0, expected.abs().max().item<double>());  // sums are rounded by their size
  EXPECT_LT((fusion->forward(input)[1] - expected).abs().max().item<double>(), 1e-5 * largest);
}

TEST_P(EachFusion, UsesTheStateOnlyWhereItHasOne) {
  auto input = random_input();
  const auto fusion = make_random();
  const auto before = fusion->vector(input);
  input.state = input.state + 1;
  EXPECT_GT((fusion->vector(input) - before).abs().max().item<double>(), 1e-3);
  auto stateless = sizes;
  stateless.state = 0;
  const auto blind = make_random(stateless);
  input.state = Tensor();
  EXPECT_EQ(blind->vector(input).sizes().vec(), (std::vector<std::int64_t>{batch, 8}));
}

TEST_P(EachFusion, ComputesInItsVisualInputsDtype) {
  const auto fusion = make_random();
  auto input = random_input();
  const auto exact = fusion->vector(input);
  input.visual_tokens = input.visual_tokens.to(at::kBFloat16);
  input.pooled_visual = input.pooled_visual.to(at::kBFloat16);
  for (auto& map : input.maps) map = map.to(at::kBFloat16);
  const auto rounded = fusion->vector(input);
  EXPECT_EQ(rounded.scalar_type(), at::kBFloat16);
  const auto error = (rounded.to(at::kFloat) - exact).norm() / exact.norm();
  EXPECT_LT(error.item<double>(), 0.05);
}

/// Two coloured things among four places, each worth +1 or -1; the text names a colour, what is to be done is the named
/// thing's worth. Without the text the best guess is the mean of both worths, a squared error of 0.5; without the
/// picture it is 0, an error of 1.
struct Task {
  FusionInput input;
  Tensor action;  // [B, 1, 1]
};

Task draw_task(std::int64_t count) {
  const auto worth = at::randint(0, 2, {count, 2}).to(at::kFloat) * 2 - 1;
  const auto named = at::randint(0, 2, {count}, at::kLong);
  const auto colour = at::one_hot(at::arange(2), 2).to(at::kFloat);
  const auto things = at::cat({worth.unsqueeze(-1) * colour, colour.expand({count, 2, 2})}, -1);  // [B, 2, 4]
  auto places = at::cat({things, at::zeros({count, 2, 4})}, 1);
  const auto order = at::randn({count, 4}).argsort(/*stable=*/true, /*dim=*/1);
  places = places.gather(1, order.unsqueeze(-1).expand({-1, -1, 4}));
  const auto word = at::one_hot(named, 2).to(at::kFloat);
  auto text = at::randn({count, 4, 3});  // a filler, the word, perhaps a filler, padding
  text.select(1, 0).fill_(0.0);
  text.select(1, 1).copy_(at::cat({word, at::zeros({count, 1})}, 1));
  text.select(1, 2).fill_(0.0);
  // In the joint space a colour and its word are alike.
  const auto rest = at::full({count, 4, 1}, 0.1);
  const auto real = at::arange(4).unsqueeze(0) < at::randint(2, 4, {count, 1}, at::kLong);
  return {.input = {.visual_tokens = places,
                    .pooled_visual = places.sum(1),
                    .maps = {places, places.mean(1, /*keepdim=*/true)},
                    .text_tokens = text,
                    .text_mask = real,
                    .joint_visual = l2_normalize(at::cat({places.narrow(2, 2, 2), rest}, 2)),
                    .joint_words = l2_normalize(at::cat({text.narrow(2, 0, 2), rest}, 2)),
                    .pooled_text = word,
                    .state = {}},
          .action = worth.gather(1, named.unsqueeze(1)).unsqueeze(-1)};
}

class Learner : public torch::nn::Module {
 public:
  explicit Learner(const std::string& name) {
    nn::Initializer initializer(1);
    const FusionSizes task_sizes{.visual_tokens = 4,
                                 .pooled_visual = 4,
                                 .maps = {4, 4},
                                 .text_tokens = 3,
                                 .pooled_text = 2,
                                 .joint = 3,
                                 .width = 32};
    fusion = register_module("fusion", make_fusion(name, task_sizes, initializer));
    const RegressionHead::Options options{.loss = RegressionHead::Loss::mse, .hidden = 32};
    head = register_module(
        "head", std::make_shared<RegressionHead>(32, ActionShape{.horizon = 1, .dims = 1}, options, initializer));
  }
  Tensor loss(const Task& task) const { return head->loss(fusion->vector(task.input), task.action); }

  std::shared_ptr<Fusion> fusion;
  std::shared_ptr<RegressionHead> head;
};

TEST_P(EachFusion, LearnsWhatNeitherModalitySolvesAlone) {
  Learner learner(GetParam());
  Optimizer::NamedParameters parameters;
  for (const auto& item : learner.named_parameters()) parameters.emplace_back(item.key(), item.value());
  Optimizer optimizer(parameters, AdamWOptions{.beta2 = 0.99, .weight_decay = 0.0});
  constexpr int steps = 400;
  for (int step = 0; step < steps; ++step) {
    learner.loss(draw_task(64)).backward();
    optimizer.step(5e-3 * (1 - step / static_cast<double>(steps)));
    optimizer.zero_grad();
  }
  const at::NoGradGuard no_graph;
  auto task = draw_task(512);
  EXPECT_LT(learner.loss(task).item<double>(), 0.05);
  task.action = task.action.index_select(0, at::randperm(512));
  EXPECT_GT(learner.loss(task).item<double>(), 1.0);  // it isn't that the task is easy to guess
}

INSTANTIATE_TEST_SUITE_P(Fusion, EachFusion,
                         testing::ValuesIn(std::vector<std::string>(fusion_names().begin(), fusion_names().end())),
                         [](const auto& test) { return test.param; });

TEST(Fusion, AVisualTokenOfWeightTwoCountsLikeTwo) {
  for (const auto* name : {"early", "film", "token_learner", "text_queries", "visual_queries", "attention_pooling"}) {
    nn::Initializer initializer(1);
    const auto fusion = make_fusion(name, sizes, initializer);
    test::randomize(*fusion);
    auto weighted = random_input(), repeated = weighted;
    repeated.visual_tokens = weighted.visual_tokens.index_select(1, at::tensor({0, 0, 1, 2, 3, 3, 3}));
    const auto distance = [&] {
      return (fusion->vector(weighted) - fusion->vector(repeated)).abs().max().item<double>();
    };
    EXPECT_GT(distance(), 1e-4) << name;
    weighted.visual_weights = at::tensor({2.0F, 1.0F, 1.0F, 3.0F}).expand({batch, 4});
    EXPECT_LT(distance(), 1e-5) << name;
  }
}

TEST(Fusion, SaysWhatIsMissingOrOfTheWrongShape) {
  nn::Initializer initializer(1);
  const auto film = make_fusion("film", sizes, initializer);
  const auto text_queries = make_fusion("text_queries", sizes, initializer);
  auto input = random_input();
  input.pooled_text = Tensor();
  EXPECT_EQ(message_of<Error>([&] { film->forward(input); }),
            "[FilmFusion] pooled_text: expected [3, 10] (-1: any), got nothing");
  input.pooled_text = at::zeros({2, 10});
  EXPECT_EQ(message_of<Error>([&] { film->forward(input); }),
            "[FilmFusion] pooled_text: expected [3, 10] (-1: any), got [2, 10]");
  input.text_mask = at::zeros({batch, length + 1}, at::kBool);
  EXPECT_EQ(message_of<Error>([&] { text_queries->forward(input); }),
            "[CrossAttention] text_mask: expected bool [3, 5], got [3, 6]");
  input.visual_weights = at::zeros({batch, 3});
  EXPECT_EQ(message_of<Error>([&] { film->forward(input); }),
            "[FilmFusion] visual_weights: expected [3, 4] (-1: any), got [3, 3]");
  input.visual_tokens = Tensor();
  EXPECT_EQ(message_of<Error>([&] { film->forward(input); }), "[FilmFusion] the visual input is missing");
}

TEST(Fusion, NeedsTheWidthsItReads) {
  nn::Initializer initializer(1);
  EXPECT_EQ(message_of<Error>([&] { make_fusion("early", {.visual_tokens = 4}, initializer); }),
            "[EarlyFusion] sizes.text_tokens: expected a width, got 0");
  EXPECT_EQ(message_of<Error>([&] { make_fusion("tiled_product", {.pooled_text = 4}, initializer); }),
            "[TiledProduct] sizes.maps: expected a width for each map, got none");
}

TEST(Fusion, AnUnknownNameListsTheKnown) {
  nn::Initializer initializer(1);
  EXPECT_EQ(message_of<Error>([&] { make_fusion("mixed", sizes, initializer); }),
            "[make_fusion] unknown fusion 'mixed': expected one of early, late_concat, late_product, film, "
            "token_learner, tiled_product, text_queries, visual_queries, pointing, attention_pooling");
}

}  // namespace
}  // namespace vlalign::vla::fusion_test
