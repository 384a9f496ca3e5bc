#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/one_hot.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "support/layers_by_hand.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/train/adamw.hpp"
#include "vlalign/vla/fusion/attention_pooling.hpp"
#include "vlalign/vla/fusion/cross_attention.hpp"
#include "vlalign/vla/fusion/early_fusion.hpp"
#include "vlalign/vla/fusion/film_fusion.hpp"
#include "vlalign/vla/fusion/late_fusion.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/fusion/tiled_product.hpp"
#include "vlalign/vla/head/regression_head.hpp"

namespace vlalign::vla {
namespace {

using test::block_by_hand;
using test::distance;
using test::joined;
using test::linear_by_hand;
using test::mean_by_hand;
using test::message_of;
using test::mlp_by_hand;
using test::norm_by_hand;
using test::plus;
using test::rows_of;
using test::Vector;
using test::vector_of;
using test::Vectors;

constexpr std::int64_t batch = 3, length = 5;
constexpr std::size_t heads = 2;
constexpr double tolerance = 1e-4;

const FusionSizes sizes{.visual_tokens = 6,
                        .pooled_visual = 7,
                        .maps = {4, 5},
                        .text_tokens = 9,
                        .pooled_text = 10,
                        .state = 3,
                        .width = 8};

/// Texts of 5, 3 and 1 tokens.
FusionInput random_input() {
  return {.visual_tokens = at::randn({batch, 4, sizes.visual_tokens}),
          .pooled_visual = at::randn({batch, sizes.pooled_visual}),
          .maps = {at::randn({batch, 4, 3, 2}), at::randn({batch, 5, 5})},
          .text_tokens = at::randn({batch, length, sizes.text_tokens}),
          .text_mask = at::arange(length).unsqueeze(0) < 5 - 2 * at::arange(batch).unsqueeze(1),
          .pooled_text = at::randn({batch, sizes.pooled_text}),
          .state = at::randn({batch, sizes.state})};
}

/// A sample's text without its padding, each token through a layer.
Vectors real_text(const FusionInput& input, std::int64_t b, const nn::Linear& layer) {
  Vectors tokens;
  for (std::int64_t l = 0; l < 5 - 2 * b; ++l)
    tokens.push_back(linear_by_hand(layer, vector_of(input.text_tokens[b][l])));
  return tokens;
}

Vectors visual_of(const FusionInput& input, std::int64_t b, const nn::Linear& layer) {
  Vectors tokens;
  for (const auto& token : rows_of(input.visual_tokens[b])) tokens.push_back(linear_by_hand(layer, token));
  return tokens;
}

Vector state_of(const FusionInput& input, std::int64_t b, const Fusion& fusion) {
  return linear_by_hand(*fusion.state_proj, vector_of(input.state[b]));
}

template <typename Kind>
std::shared_ptr<Kind> make(const typename Kind::Options& options) {
  nn::Initializer initializer(1);
  const auto fusion = std::make_shared<Kind>(sizes, options, initializer);
  test::randomize(*fusion);
  return fusion;
}

TEST(LateFusion, EqualsItsFormulaInDouble) {
  for (const auto join : {LateFusion::Join::concatenate, LateFusion::Join::multiply}) {
    const auto fusion = make<LateFusion>({.join = join, .hidden = 11});
    const auto input = random_input();
    const auto fused = fusion->forward(input);
    EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 1, 8}));
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto visual = linear_by_hand(*fusion->visual_proj, vector_of(input.pooled_visual[b]));
      const auto text = linear_by_hand(*fusion->text_proj, vector_of(input.pooled_text[b]));
      auto both = joined(visual, text);
      if (join == LateFusion::Join::multiply) {
        both = visual;
        for (std::size_t d = 0; d < both.size(); ++d) both[d] *= text[d];
      }
      const auto expected =
          mlp_by_hand(*fusion->mlp->c_fc, *fusion->mlp->c_proj, joined(both, state_of(input, b, *fusion)));
      EXPECT_LT(distance(fused[b][0], expected), tolerance) << "sample " << b;
    }
  }
}

TEST(EarlyFusion, EqualsItsFormulaWithoutPaddingInDouble) {
  const auto fusion = make<EarlyFusion>({.layers = 2, .heads = heads, .readouts = 2});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 2, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    Vectors seen;
    for (const auto& token : real_text(input, b, *fusion->text_proj))
      seen.push_back(plus(token, vector_of(fusion->text_embedding)));
    for (const auto& token : visual_of(input, b, *fusion->visual_proj))
      seen.push_back(plus(token, vector_of(fusion->visual_embedding)));
    seen.push_back(plus(state_of(input, b, *fusion), vector_of(fusion->state_embedding)));
    auto readouts = rows_of(fusion->readouts);
    for (const auto& block : fusion->transformer->resblocks) {
      auto all = seen;
      all.insert(all.end(), readouts.begin(), readouts.end());
      for (auto& readout : readouts) readout = block_by_hand(*block, readout, all, heads);
      const auto before = seen;
      for (auto& token : seen) token = block_by_hand(*block, token, before, heads);
    }
    for (std::int64_t m = 0; m < 2; ++m) {
      const auto expected = norm_by_hand(*fusion->ln_final, readouts[static_cast<std::size_t>(m)]);
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

/// (1 + gamma) x + beta, from one linear layer's two halves.
Vector film_by_hand(const FilmLayer& layer, Vector x, const Vector& condition) {
  const auto both = linear_by_hand(*layer.dense, condition);
  for (std::size_t c = 0; c < x.size(); ++c) x[c] = (1 + both[c]) * x[c] + both[x.size() + c];
  return x;
}

Vectors film_tokens(const FilmFusion& fusion, const FusionInput& input, std::int64_t b) {
  auto tokens = visual_of(input, b, *fusion.visual_proj);
  for (auto& token : tokens) {
    token = film_by_hand(*fusion.film, token, vector_of(input.pooled_text[b]));
    for (double& x : token) x = std::max(x, 0.0);
  }
  return tokens;
}

TEST(FilmFusion, EqualsItsFormulaInDouble) {
  const auto fusion = make<FilmFusion>({});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 4, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto tokens = film_tokens(*fusion, input, b);
    for (std::int64_t n = 0; n < 4; ++n) {
      const auto expected = plus(tokens[static_cast<std::size_t>(n)], state_of(input, b, *fusion));
      EXPECT_LT(distance(fused[b][n], expected), tolerance) << "sample " << b;
    }
  }
}

TEST(FilmFusion, LearnedTokensAreSoftSelectionsOfThePlacesInDouble) {
  constexpr std::int64_t learned = 3;
  const auto fusion = make<FilmFusion>({.learned_tokens = learned});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, learned, 8}));
  const auto& learner = *fusion->token_learner;
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto tokens = film_tokens(*fusion, input, b);
    for (std::int64_t m = 0; m < learned; ++m) {
      Vector scores;
      for (const auto& token : tokens) {
        const auto each = mlp_by_hand(*learner.mlp->c_fc, *learner.mlp->c_proj, norm_by_hand(*learner.norm, token));
        scores.push_back(each[static_cast<std::size_t>(m)]);
      }
      const auto weights = test::softmax_by_hand(scores);
      auto expected = state_of(input, b, *fusion);
      for (std::size_t n = 0; n < tokens.size(); ++n) {
        for (std::size_t d = 0; d < expected.size(); ++d) expected[d] += weights[n] * tokens[n][d];
      }
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

/// What there is and where it is, of one channel of a product, [rows][columns].
std::array<double, 3> summary_by_hand(const Vectors& product) {
  double what = 0, total = 0, x = 0, y = 0;
  const auto rows = product.size(), columns = product[0].size();
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      what += test::gelu_by_hand(product[r][c]) / static_cast<double>(rows * columns);
      const double mass = std::exp(product[r][c]);
      total += mass;
      x += mass * (2 * (static_cast<double>(c) + 0.5) / static_cast<double>(columns) - 1);
      y += mass * (2 * (static_cast<double>(r) + 0.5) / static_cast<double>(rows) - 1);
    }
  }
  return {what, x / total, y / total};
}

TEST(TiledProduct, EqualsItsFormulaInDouble) {
  const auto fusion = make<TiledProduct>({.hidden = 11});
  const auto input = random_input();  // its second map is a class token and 2 x 2 places
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 1, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    Vector all;
    for (std::size_t scale = 0; scale < 2; ++scale) {
      const std::int64_t rows = scale == 0 ? 3 : 2, columns = 2;
      const auto text = linear_by_hand(*fusion->text_projs[scale], vector_of(input.pooled_text[b]));
      std::vector<Vectors> product(8, Vectors(static_cast<std::size_t>(rows), Vector(2)));
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          const auto place = scale == 0 ? vector_of(input.maps[0][b].select(1, r).select(1, c))
                                        : vector_of(input.maps[1][b][1 + r * columns + c]);
          const auto visual = linear_by_hand(*fusion->visual_projs[scale], place);
          for (std::size_t d = 0; d < 8; ++d) product[d][r][c] = visual[d] * text[d];
        }
      }
      for (std::size_t part = 0; part < 3; ++part) {
        for (std::size_t d = 0; d < 8; ++d) all.push_back(summary_by_hand(product[d])[part]);
      }
    }
    const auto expected = plus(mlp_by_hand(*fusion->mlp->c_fc, *fusion->mlp->c_proj, all), state_of(input, b, *fusion));
    EXPECT_LT(distance(fused[b][0], expected), tolerance) << "sample " << b;
  }
}

TEST(TiledProduct, TokensOfNoSquareAreRefused) {
  EXPECT_EQ(message_of<Error>([] {
              tokens_to_map(at::zeros({1, 7, 2}));
            }),
            "[tokens_to_map] 7 tokens are no square grid");
}

TEST(CrossAttention, EqualsItsFormulaWithoutPaddingInDouble) {
  for (const auto asks : {CrossAttention::Queries::text, CrossAttention::Queries::visual}) {
    const bool text_asks = asks == CrossAttention::Queries::text;
    const auto fusion = make<CrossAttention>({.queries = asks, .layers = 2, .heads = heads});
    const auto input = random_input();
    const auto fused = fusion->forward(input);
    EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, text_asks ? 1 : 4, 8}));
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto text = real_text(input, b, *fusion->text_proj), visual = visual_of(input, b, *fusion->visual_proj);
      auto tokens = text_asks ? text : visual;
      for (auto& token : tokens) {
        for (const auto& block : fusion->blocks) token = block_by_hand(*block, token, text_asks ? visual : text, heads);
        token = norm_by_hand(*fusion->ln_final, token);
      }
      if (text_asks) tokens = {mean_by_hand(tokens)};
      for (std::size_t m = 0; m < tokens.size(); ++m) {
        const auto expected = plus(tokens[m], state_of(input, b, *fusion));
        EXPECT_LT(distance(fused[b][static_cast<std::int64_t>(m)], expected), tolerance) << "sample " << b;
      }
    }
  }
}

TEST(AttentionPooling, EqualsItsFormulaInDouble) {
  const auto fusion = make<AttentionPooling>({.queries = 2, .heads = heads});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 2, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto text = linear_by_hand(*fusion->text_proj, vector_of(input.pooled_text[b]));
    const auto keys = visual_of(input, b, *fusion->visual_proj);
    for (std::int64_t m = 0; m < 2; ++m) {
      const auto pooled = block_by_hand(*fusion->block, plus(vector_of(fusion->queries[m]), text), keys, heads);
      const auto expected = plus(norm_by_hand(*fusion->ln_final, pooled), state_of(input, b, *fusion));
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

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
  EXPECT_TRUE(fusion->forward(input).equal(fusion->forward(other)));
}

TEST_P(EachFusion, MorePaddingChangesNothing) {
  const auto fusion = make_random();
  const auto input = random_input();
  auto longer = input;
  longer.text_tokens = at::cat({input.text_tokens, at::randn({batch, 4, sizes.text_tokens})}, 1);
  longer.text_mask = at::cat({input.text_mask, at::zeros({batch, 4}, at::kBool)}, 1);
  EXPECT_LT((fusion->forward(input) - fusion->forward(longer)).abs().max().item<double>(), 1e-5);
}

TEST_P(EachFusion, TheOrderOfVisualTokensDoesNotChangeTheVector) {
  const auto fusion = make_random();
  const auto input = random_input();
  auto other = input;
  other.visual_tokens = input.visual_tokens.index_select(1, at::randperm(4));
  EXPECT_LT((fusion->vector(input) - fusion->vector(other)).abs().max().item<double>(), 1e-5);
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
                          .pooled_text = one(input.pooled_text),
                          .state = one(input.state)};
  EXPECT_LT((fusion->forward(input)[1] - fusion->forward(alone)[0]).abs().max().item<double>(), 1e-5);
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
  const auto real = at::arange(4).unsqueeze(0) < at::randint(2, 4, {count, 1}, at::kLong);
  return {.input = {.visual_tokens = places,
                    .pooled_visual = places.sum(1),
                    .maps = {places, places.mean(1, /*keepdim=*/true)},
                    .text_tokens = text,
                    .text_mask = real,
                    .pooled_text = word,
                    .state = {}},
          .action = worth.gather(1, named.unsqueeze(1)).unsqueeze(-1)};
}

class Learner : public torch::nn::Module {
 public:
  explicit Learner(const std::string& name) {
    nn::Initializer initializer(1);
    const FusionSizes task_sizes{
        .visual_tokens = 4, .pooled_visual = 4, .maps = {4, 4}, .text_tokens = 3, .pooled_text = 2, .width = 32};
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
  AdamW::NamedParameters parameters;
  for (const auto& item : learner.named_parameters()) parameters.emplace_back(item.key(), item.value());
  AdamW optimizer(parameters, {.beta2 = 0.99, .weight_decay = 0.0});
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
            "token_learner, tiled_product, text_queries, visual_queries, attention_pooling");
}

}  // namespace
}  // namespace vlalign::vla
