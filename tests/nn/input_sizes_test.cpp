// What towers are given in place of their own sizes: positions resized as open_clip does it, shorter texts, other
// shares of patches.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "nn/grid_positions.hpp"
#include "support/finite_differences.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::nn::input_sizes_test {
namespace {

using test::largest_difference;
using test::message_of;

void copy_weights(const torch::nn::Module& from, torch::nn::Module& to) {
  const at::NoGradGuard no_graph;
  const auto weights = from.named_parameters();
  for (auto& item : to.named_parameters())
    if (item.value().sizes() == weights[item.key()].sizes()) item.value().copy_(weights[item.key()]);
}

TEST(ResizedPositions, AreOpenClipsWithTheirGradient) {
  const auto figures = read_safetensors(test::model_fixture("positions.safetensors")).tensors;
  const auto expect_agreement = [&](const std::string& name, std::int64_t side) {
    const auto figure = [&](const char* what) { return figures.at(name + "." + what); };
    const auto whole = figure("whole").clone().requires_grad_();
    const auto resized = resize_grid(whole, side, 1);
    (resized * figure("slope")).sum().backward();
    EXPECT_LT(largest_difference(resized, figure("resized")), 1e-12) << name;
    EXPECT_LT(largest_difference(whole.grad(), figure("gradient")), 1e-12) << name;
  };
  expect_agreement("7_4", 4);
  expect_agreement("4_3", 3);
  expect_agreement("6_1", 1);
  expect_agreement("3_5", 5);
}

TEST(ResizedPositions, HaveTheGradientOfFiniteDifferences) {
  const auto positions = at::randn({25, 2}, at::kDouble);
  EXPECT_LT(test::gradient_error({positions}, [&] { return resize_grid(positions, 3, 0).sin().sum(); }), 1e-8);
}

class Towers : public testing::Test {
 protected:
  Initializer initializer_{1};
};

using VitInput = Towers;
using ModifiedResNetInput = Towers;
using TextInput = Towers;

TEST_F(VitInput, OfASmallerSizeIsThatOfATowerWithTheResizedPositions) {
  for (const auto pool :
       {VitConfig::Pool::token, VitConfig::Pool::average, VitConfig::Pool::attention, VitConfig::Pool::query}) {
    const VitConfig config{.patch_size = 4,
                           .width = 16,
                           .layers = 1,
                           .head_width = 8,
                           .pool = pool,
                           .class_token = pool == VitConfig::Pool::token,
                           .pool_queries = 3,
                           .pool_heads = 2};
    Vit vit(config, 22, 16, initializer_), small(config, 12, 16, initializer_);  // 5 patches a side, and 3
    copy_weights(vit, small);
    {
      const at::NoGradGuard no_graph;
      small.positional_embedding.copy_(resize_grid(vit.positional_embedding, 3, config.class_token ? 1 : 0));
    }
    const auto pixels = at::randn({2, 3, 12, 12});
    vit.input.image_size = 12;
    EXPECT_LT(largest_difference(vit.forward(pixels, at::kFloat), small.forward(pixels, at::kFloat)), 1e-5);
    EXPECT_EQ(vit.features(pixels, at::kFloat, {}).tokens.size(1), 9);
  }
}

TEST_F(VitInput, OfItsOwnSizeGivesTheSameBits) {
  Vit vit({.patch_size = 4, .width = 16, .layers = 1, .head_width = 8}, 22, 16, initializer_);
  const auto pixels = at::randn({2, 3, 22, 22});
  const auto plain = vit.forward(pixels, at::kFloat);
  vit.input.image_size = 22;
  EXPECT_TRUE(vit.forward(pixels, at::kFloat).equal(plain));
}

TEST_F(VitInput, OfASizeThatItIsNotSetToIsRefused) {
  Vit vit({.patch_size = 8, .width = 16, .layers = 1, .head_width = 8}, 32, 16, initializer_);
  EXPECT_EQ(message_of<Error>([&] {
              vit.forward(at::randn({1, 3, 16, 16}), at::kFloat);
            }),
            "[Vit] pixels: expected 16 patches an image, got 4 from 16x16 px");
  vit.input.image_size = 16;
  EXPECT_EQ(message_of<Error>([&] {
              vit.forward(at::randn({1, 3, 32, 32}), at::kFloat);
            }),
            "[Vit] pixels: expected 4 patches an image, got 16 from 32x32 px");
}

TEST_F(VitInput, LeavesOutTheShareOfPatchesThatItIsSetToWhileItTrains) {
  Vit vit({.patch_size = 4, .width = 16, .layers = 1, .head_width = 8, .patch_dropout = 0.75}, 16, 16, initializer_);
  const auto tokens = [&] { return vit.features(at::randn({2, 3, 16, 16}), at::kFloat, {}).tokens.size(1); };
  EXPECT_EQ(tokens(), 4);
  vit.input.patch_dropout = 0.5;
  EXPECT_EQ(tokens(), 8);
  vit.input.patch_dropout = 0;
  EXPECT_EQ(tokens(), 16);
  vit.input.patch_dropout = 0.5;
  vit.train(false);
  EXPECT_EQ(tokens(), 16);
}

TEST_F(ModifiedResNetInput, OfASmallerSizeIsThatOfATowerWithTheResizedPositions) {
  const ModifiedResNetConfig config{.layers = {1, 1, 1, 1}, .width = 4, .head_width = 32};
  ModifiedResNet net(config, 96, initializer_), small(config, 64, initializer_);
  copy_weights(net, small);
  net.train(false), small.train(false);
  {
    const at::NoGradGuard no_graph;
    small.attnpool->positional_embedding.copy_(resize_grid(net.attnpool->positional_embedding, 2, 1));
  }
  const auto pixels = at::randn({2, 3, 64, 64});
  EXPECT_EQ(message_of<Error>([&] { net.forward(pixels, at::kFloat); }),
            "[ModifiedResNet] pixels: expected 96x96, got 64x64");
  net.input.image_size = 64;
  EXPECT_LT(largest_difference(net.forward(pixels, at::kFloat), small.forward(pixels, at::kFloat)), 1e-4);
  const auto features = net.features(pixels, at::kFloat, {}), expected = small.features(pixels, at::kFloat, {});
  EXPECT_LT(largest_difference(features.pooled, expected.pooled), 1e-4);
  EXPECT_LT(largest_difference(features.tokens, expected.tokens), 1e-4);
  EXPECT_EQ(message_of<Error>([&] {
              net.attnpool->forward(at::randn({1, 128, 2, 2}));
            }),
            "[AttentionPool2d] expected a map of 9 places, got 4");
}

TEST_F(TextInput, OfAShorterContextIsThatOfAShorterTower) {
  using Pool = TextConfig::Pool;
  for (const auto pool : {Pool::largest_id, Pool::first, Pool::last, Pool::mean}) {
    for (const bool class_embedding : {false, true}) {
      if (class_embedding && pool != Pool::last) continue;  // it is pooled itself, whatever the pool
      TextConfig config{.context_length = 12, .vocab_size = 40, .width = 16, .heads = 2, .layers = 2};
      config.pool = pool;
      config.causal = pool == Pool::largest_id;
      config.class_embedding = class_embedding;
      auto short_config = config;
      short_config.context_length = 6;
      TextTransformer tower(config, initializer_), shorter(short_config, initializer_);
      copy_weights(tower, shorter);
      {  // The first places', and the last one's own where it is pooled whatever the text.
        const at::NoGradGuard no_graph;
        const auto rows = shorter.positional_embedding.size(0);
        const auto& whole = tower.positional_embedding;
        const bool pools_last = class_embedding || pool == Pool::last;
        const auto last = pools_last ? whole.size(0) - 1 : rows - 1;
        shorter.positional_embedding.copy_(at::cat({whole.narrow(0, 0, rows - 1), whole.narrow(0, last, 1)}));
      }
      auto tokens = at::randint(1, 38, {3, 5}, at::kLong);
      tokens.select(1, 4).fill_(39);
      const auto at_full_length = tower.forward(tokens, at::kFloat);
      tower.input.context_length = 6;
      EXPECT_LT(largest_difference(tower.forward(tokens, at::kFloat), shorter.forward(tokens, at::kFloat)), 1e-5)
          << static_cast<int>(pool) << class_embedding;
      if (config.causal && !class_embedding) {
        EXPECT_TRUE(tower.forward(tokens, at::kFloat).equal(at_full_length));
      }
      EXPECT_EQ(message_of<Error>([&] {
                  tower.forward(at::randint(1, 38, {3, 7}, at::kLong), at::kFloat);
                }),
                "[TextTransformer] tokens: expected at most 6 a text, got 7");
    }
  }
}

/// In open_clip the class token "overrides pool_type, always take last token".
TEST_F(TextInput, WithAClassTokenIsPooledThereWhateverThePool) {
  const at::NoGradGuard no_graph;
  TextConfig config{.context_length = 8, .vocab_size = 40, .width = 16, .heads = 2, .layers = 2};
  config.class_embedding = true;
  config.pool = TextConfig::Pool::last;
  TextTransformer last(config, initializer_);
  config.pool = TextConfig::Pool::mean;
  TextTransformer mean(config, initializer_);
  copy_weights(last, mean);
  const auto tokens = at::randint(1, 38, {3, 5}, at::kLong);
  const auto expected = last.forward(tokens, at::kFloat);
  EXPECT_LT(largest_difference(mean.forward(tokens, at::kFloat), expected), 1e-6);
  EXPECT_LT(largest_difference(mean.features(tokens, at::kFloat, {}).pooled, expected), 1e-5);
}

}  // namespace
}  // namespace vlalign::nn::input_sizes_test
