#include "vlalign/vla/fusion/film.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/layers_by_hand.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/efficientnet.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::vla::film_test {
namespace {

using test::message_of;

constexpr std::int64_t batch = 2, condition_width = 5;
const std::vector<std::int64_t> ends{0, -1};

std::shared_ptr<nn::Tower> make_tower(const std::string& name) {
  nn::Initializer initializer(1);
  std::shared_ptr<nn::Tower> tower;
  if (name == "Vit")
    tower = std::make_shared<nn::Vit>(VitConfig{.patch_size = 8, .width = 16, .layers = 3, .head_width = 8}, 32, 12,
                                      initializer);
  if (name == "VitWithStem")
    tower = std::make_shared<nn::Vit>(
        VitConfig{.patch_size = 8, .stem = {6, 10}, .width = 16, .layers = 1, .head_width = 8}, 32, 12, initializer);
  if (name == "ModifiedResNet")
    tower = std::make_shared<nn::ModifiedResNet>(
        ModifiedResNetConfig{.layers = {1, 1, 2, 1}, .width = 8, .head_width = 32}, 32, initializer);
  if (name == "ResNet")
    tower = std::make_shared<nn::ResNet>(ResNetConfig{.layers = {1, 1, 1, 1}, .width = 8}, initializer);
  if (name == "EfficientNet")
    tower = std::make_shared<nn::EfficientNet>(EfficientNetConfig{.kernel_sizes = {3, 3},
                                                                  .in_channels = {32, 16},
                                                                  .out_channels = {16, 24},
                                                                  .strides = {1, 2},
                                                                  .num_block_repeats = {1, 2},
                                                                  .expand_ratios = {1, 2}},
                                               initializer);
  test::randomize(*tower, 0.1);
  tower->eval();
  return tower;
}

bool same(const Tensor& a, const Tensor& b) { return a.defined() == b.defined() && (!a.defined() || a.equal(b)); }

class FilmOf : public testing::TestWithParam<std::string> {};

TEST_P(FilmOf, AFreshOneLeavesTheTowersOutputBitForBit) {
  const auto tower = make_tower(GetParam());
  nn::Initializer initializer(1);
  const Film film(*tower, ends, condition_width, initializer);
  const auto pixels = at::randn({batch, 3, 32, 32}), condition = at::randn({batch, condition_width});
  for (const auto compute : {at::kFloat, at::kBFloat16}) {
    const auto plain = tower->features(pixels, compute, ends);
    const auto modulated = tower->hooked_features(pixels, compute, ends, film.hook(condition));
    EXPECT_TRUE(same(modulated.pooled, plain.pooled));
    EXPECT_TRUE(same(modulated.tokens, plain.tokens));
    EXPECT_TRUE(same(modulated.map, plain.map));
    EXPECT_TRUE(same(modulated.hidden[0], plain.hidden[0]) && same(modulated.hidden[1], plain.hidden[1]));
    EXPECT_GT(plain.pooled.abs().max().item<double>(), 1e-3);
  }
}

/// (1 + gamma) x + beta, a number at a time; channels last in tokens, second in maps.
double film_error(const Tensor& modulated, const Tensor& plain, const FilmLayer& layer, const Tensor& condition) {
  const bool map = plain.dim() == 4;
  const auto places = [map](const Tensor& x, std::int64_t b) { return map ? x[b].flatten(1).transpose(0, 1) : x[b]; };
  double largest = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto both = test::linear_by_hand(*layer.dense, test::vector_of(condition[b]));
    for (std::int64_t n = 0; n < places(plain, b).size(0); ++n) {
      auto expected = test::vector_of(places(plain, b)[n]);
      for (std::size_t c = 0; c < expected.size(); ++c)
        expected[c] = (1 + both[c]) * expected[c] + both[expected.size() + c];
      largest = std::max(largest, test::distance(places(modulated, b)[n], expected));
    }
  }
  return largest;
}

TEST_P(FilmOf, ModulatesTheChosenLayerAndNothingBeforeIt) {
  const auto tower = make_tower(GetParam());
  nn::Initializer initializer(1);
  Film film(*tower, std::vector<std::int64_t>{-1}, condition_width, initializer);
  test::randomize(film);
  const auto pixels = at::randn({batch, 3, 32, 32}), condition = at::randn({batch, condition_width});
  const std::vector<std::int64_t> last_two{-2, -1};
  const auto plain = tower->features(pixels, at::kFloat, last_two);
  const auto modulated = tower->hooked_features(pixels, at::kFloat, last_two, film.hook(condition));
  EXPECT_TRUE(modulated.hidden[0].equal(plain.hidden[0]));
  EXPECT_LT(film_error(modulated.hidden[1], plain.hidden[1], *film.layers.back(), condition), 1e-4);
  EXPECT_GT((modulated.pooled - plain.pooled).abs().max().item<double>(), 1e-3);
}

TEST_P(FilmOf, TellsTheWidthOfEachLayer) {
  const auto tower = make_tower(GetParam());
  const auto widths = tower->layer_widths();
  std::vector<std::int64_t> all;
  for (std::size_t i = 0; i < widths.size(); ++i) all.push_back(static_cast<std::int64_t>(i));
  const auto features = tower->features(at::randn({1, 3, 32, 32}), at::kFloat, all);
  ASSERT_EQ(features.hidden.size(), widths.size());
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const auto& hidden = features.hidden[i];
    EXPECT_EQ(hidden.size(hidden.dim() == 4 ? 1 : 2), widths[i]) << "layer " << i;
  }
  const std::vector<std::int64_t> beyond{static_cast<std::int64_t>(widths.size())};
  EXPECT_ANY_THROW(tower->features(at::randn({1, 3, 32, 32}), at::kFloat, beyond));
}

TEST_P(FilmOf, LearnsThroughAFrozenTower) {
  const auto tower = make_tower(GetParam());
  for (auto& parameter : tower->parameters()) parameter.set_requires_grad(false);
  nn::Initializer initializer(1);
  Film film(*tower, ends, condition_width, initializer);
  const auto features = tower->hooked_features(at::randn({batch, 3, 32, 32}), at::kFloat, {},
                                               film.hook(at::randn({batch, condition_width})));
  features.pooled.square().sum().backward();
  for (const auto& parameter : film.parameters()) EXPECT_GT(parameter.grad().abs().max().item<double>(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Film, FilmOf,
                         testing::Values("Vit", "VitWithStem", "ModifiedResNet", "ResNet", "EfficientNet"),
                         [](const auto& test) { return test.param; });

TEST(Film, PassesThroughADualEncoder) {
  nn::Initializer initializer(1);
  const auto visual = make_tower("Vit");
  const auto text = std::make_shared<nn::TextTransformer>(
      TextConfig{.context_length = 4, .vocab_size = 9, .width = 16, .heads = 2, .layers = 1}, initializer);
  nn::DualEncoderImpl encoder(visual, text, 12, {}, initializer);
  Film film(*visual, ends, condition_width, initializer);
  const auto pixels = at::randn({batch, 3, 32, 32}), condition = at::randn({batch, condition_width});
  const auto plain = encoder.image_features(pixels, {});
  EXPECT_TRUE(encoder.image_features(pixels, {}, at::kFloat, film.hook(condition)).embedding.equal(plain.embedding));
  test::randomize(film);
  const auto modulated = encoder.image_features(pixels, {}, at::kFloat, film.hook(condition));
  EXPECT_GT((modulated.embedding - plain.embedding).abs().max().item<double>(), 1e-3);
}

TEST(Film, RefusesLayersThatAreNotThere) {
  nn::Initializer initializer(1);
  const auto tower = make_tower("Vit");
  const auto film_of = [&](std::vector<std::int64_t> layers) { Film(*tower, layers, condition_width, initializer); };
  EXPECT_EQ(message_of<Error>([&] { film_of({3}); }), "[Film] layer 3: the tower has 3");
  EXPECT_EQ(message_of<Error>([&] { film_of({2, -1}); }), "[Film] layer 2 is named twice");
}

TEST(Film, RefusesAConditionOfAnotherBatch) {
  nn::Initializer initializer(1);
  const FilmLayer layer(condition_width, 4, initializer);
  EXPECT_EQ(message_of<Error>([&] {
              layer.forward(at::zeros({2, 3, 4}), at::zeros({3, condition_width}));
            }),
            "[FilmLayer] condition: expected [2, E], got [3, 5]");
}

}  // namespace
}  // namespace vlalign::vla::film_test
