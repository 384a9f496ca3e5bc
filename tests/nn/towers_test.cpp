#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/nn/transformer.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::nn::towers_test {
namespace {

using test::message_of;

double largest_difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// The textbook formula, in double, one head and one query at a time.
Tensor attention_by_hand(const Tensor& q, const Tensor& k, const Tensor& v) {
  auto out = at::zeros(q.sizes(), at::kDouble);
  for (std::int64_t b = 0; b < q.size(0); ++b) {
    for (std::int64_t h = 0; h < q.size(1); ++h) {
      for (std::int64_t i = 0; i < q.size(2); ++i) {
        const auto scores = (k[b][h].to(at::kDouble) * q[b][h][i].to(at::kDouble)).sum(1) / std::sqrt(q.size(3));
        const auto weights = scores.exp() / scores.exp().sum();
        out[b][h][i] = (weights.unsqueeze(1) * v[b][h].to(at::kDouble)).sum(0);
      }
    }
  }
  return out;
}

TEST(Attention, EqualsTheFormulaInDouble) {
  const auto q = at::randn({2, 3, 5, 4}), k = at::randn({2, 3, 7, 4}), v = at::randn({2, 3, 7, 4});
  EXPECT_LT(largest_difference(attention(q, k, v, {}), attention_by_hand(q, k, v)), 1e-6);
}

TEST(Attention, PlainProductsAgreeWithAtensKernelForwardAndBackward) {
  const auto mask = at::full({9, 9}, -std::numeric_limits<double>::infinity()).triu_(1);
  std::vector<Tensor> plain, fused;
  for (int i = 0; i < 3; ++i) {
    plain.push_back(at::randn({2, 2, 9, 8}).requires_grad_());
    fused.push_back(plain.back().detach().clone().requires_grad_());
  }
  const auto weights = at::randn({2, 2, 9, 8});
  const auto a = attention(plain[0], plain[1], plain[2], mask);
  const auto b = at::scaled_dot_product_attention(fused[0], fused[1], fused[2], mask);
  EXPECT_LT(largest_difference(a, b), 1e-6);
  (a * weights).sum().backward();
  (b * weights).sum().backward();
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(largest_difference(plain[i].grad(), fused[i].grad()), 1e-5);
}

/// All the gradients that forward and backward give: of the input, of the parameters.
std::vector<Tensor> gradients_of(Transformer& transformer, bool checkpoints, const Tensor& mask, bool input_wants_one) {
  transformer.checkpoints = checkpoints;
  transformer.zero_grad();
  const auto x = (at::arange(2 * 5 * 8, at::kFloat).view({2, 5, 8}) * 0.37).sin().requires_grad_(input_wants_one);
  const auto all = transformer.forward(x, mask);
  const auto pooled = transformer.forward_pooled(x, mask, at::full({2}, 3, at::kLong));
  ((all * all).sum() + (pooled * 3).sin().sum()).backward();
  std::vector<Tensor> gradients{all.detach(), pooled.detach()};
  if (input_wants_one) gradients.push_back(x.grad());
  for (const auto& parameter : transformer.parameters()) gradients.push_back(parameter.grad());
  return gradients;
}

TEST(Transformer, CheckpointsChangeNoGradient) {
  Initializer initializer(1);
  Transformer transformer({.width = 8, .heads = 2, .layers = 3}, initializer);
  const auto mask = at::full({5, 5}, -std::numeric_limits<double>::infinity()).triu_(1).to(at::kFloat);
  for (const bool input_wants_one : {true, false}) {  // without one, the parameters' gradients must come all the same
    const auto kept = gradients_of(transformer, false, mask, input_wants_one);
    const auto computed_again = gradients_of(transformer, true, mask, input_wants_one);
    ASSERT_EQ(kept.size(), computed_again.size());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      ASSERT_TRUE(computed_again[i].defined()) << i;
      EXPECT_TRUE(kept[i].allclose(computed_again[i], 1e-6, 1e-6)) << i;
    }
  }
}

TEST(Transformer, PooledTokenEqualsTheWholeComputation) {
  Initializer initializer(1);
  const Transformer transformer({.width = 16, .heads = 2, .layers = 3}, initializer);
  const auto x = at::randn({4, 6, 16});
  const auto mask = at::full({6, 6}, -std::numeric_limits<double>::infinity()).triu_(1);
  const auto index = at::arange(1, 5);
  const auto whole = transformer.forward(x, mask);
  const auto pooled = transformer.forward_pooled(x, mask, index);
  for (std::int64_t b = 0; b < 4; ++b) EXPECT_LT(largest_difference(pooled[b], whole[b][b + 1]), 1e-5) << "text " << b;
}

TEST(TextTransformer, BeginsWithTokenEmbeddingsOfTheSpreadAskedFor) {
  Initializer initializer(1);
  const TextTransformer tower(
      {.context_length = 12, .vocab_size = 400, .width = 64, .heads = 2, .layers = 1, .token_std = 0.5}, initializer);
  EXPECT_NEAR(tower.token_embedding.std().item<double>(), 0.5, 0.01);  // 4.5 deviations of 25,600 draws
}

TEST(TextTransformer, SeesNothingBehindTheEndToken) {
  Initializer initializer(1);
  TextTransformer tower({.context_length = 12, .vocab_size = 40, .width = 16, .heads = 2, .layers = 2}, initializer);
  auto whole = at::randint(1, 38, {3, 12}, at::kLong);
  for (std::int64_t b = 0; b < 3; ++b) {
    whole[b][b + 3] = 39;
    whole[b].narrow(0, b + 4, 8 - b).fill_(0);
  }
  const auto cut = whole.narrow(1, 0, 6);
  // Products of another shape round differently: a few units of float32 at layer-normalised size.
  EXPECT_LT(largest_difference(tower.forward(cut, at::kFloat), tower.forward(whole, at::kFloat)), 1e-5);
}

TEST(TextTransformer, ALargeBatchInPiecesOfLikeLengthEqualsOneTextAtATime) {
  Initializer initializer(1);
  TextTransformer tower({.context_length = 12, .vocab_size = 40, .width = 16, .heads = 2, .layers = 2}, initializer);
  auto tokens = at::randint(1, 38, {100, 12}, at::kLong);
  for (std::int64_t b = 0; b < 100; ++b) {
    const auto end = 1 + (b * 7) % 11;
    tokens[b][end] = 39;
    tokens[b].narrow(0, end + 1, 11 - end).fill_(0);
  }
  const auto together = tower.forward(tokens, at::kFloat);
  for (std::int64_t b = 0; b < 100; ++b) {
    EXPECT_LT(largest_difference(together[b], tower.forward(tokens.narrow(0, b, 1), at::kFloat)[0]), 1e-5)
        << "text " << b;
  }
}

TEST(TextTransformer, RefusesTextsLongerThanItsContext) {
  Initializer initializer(1);
  TextTransformer tower({.context_length = 4, .vocab_size = 40, .width = 16, .heads = 2, .layers = 1}, initializer);
  const auto message = message_of<Error>([&] { tower.forward(at::zeros({1, 5}, at::kLong), at::kFloat); });
  EXPECT_EQ(message, "[TextTransformer] tokens: expected at most 4 a text, got 5");
}

TEST(TextTransformer, StartsFromThePapersDeviations) {
  Initializer initializer(1);
  const TextTransformer tower({.context_length = 77, .vocab_size = 1000, .width = 256, .heads = 4, .layers = 6},
                              initializer);
  const double by_width = 1.0 / std::sqrt(256.0), by_depth = by_width / std::sqrt(12.0);
  const auto deviation = [](const Tensor& t) { return t.std().item<double>(); };
  const auto& block = *tower.transformer->resblocks[3];
  EXPECT_NEAR(deviation(tower.token_embedding), 0.02, 0.0005);
  EXPECT_NEAR(deviation(tower.positional_embedding), 0.01, 0.0005);
  EXPECT_NEAR(deviation(block.attn->in_proj_weight), by_width, 0.02 * by_width);
  EXPECT_NEAR(deviation(block.attn->out_proj->weight), by_depth, 0.02 * by_depth);
  EXPECT_NEAR(deviation(block.mlp->c_proj->weight), by_depth, 0.02 * by_depth);
  EXPECT_NEAR(deviation(block.mlp->c_fc->weight), by_width / std::sqrt(2.0), 0.02 * by_width);
  EXPECT_EQ(block.attn->out_proj->bias.abs().max().item<float>(), 0.0F);
}

TEST(Vit, RefusesPicturesOfAnotherSize) {
  Initializer initializer(1);
  Vit tower({.patch_size = 8, .width = 16, .layers = 1, .head_width = 8}, 16, 12, initializer);
  const auto message = message_of<Error>([&] { tower.forward(at::zeros({1, 3, 32, 32}), at::kFloat); });
  EXPECT_EQ(message, "[Vit] pixels: expected 4 patches an image, got 16 from 32x32 px");
}

/// A 3x3 convolution of stride 2 with a margin of zeros, number by number. x: [C, H, W], weight: [O, C, 3, 3].
Tensor strided_by_hand(const Tensor& x, const Tensor& weight) {
  const auto side = (x.size(1) + 1) / 2;
  auto out = at::zeros({weight.size(0), side, side}, at::kDouble);
  for (std::int64_t row = 0; row < side; ++row)
    for (std::int64_t column = 0; column < side; ++column)
      for (std::int64_t i = 0; i < 3; ++i)
        for (std::int64_t j = 0; j < 3; ++j) {
          const auto y = 2 * row + i - 1, z = 2 * column + j - 1;
          if (y < 0 || z < 0 || y >= x.size(1) || z >= x.size(2)) continue;
          out.select(1, row).select(1, column) +=
              weight.select(2, i).select(2, j).to(at::kDouble).mv(x.select(1, y).select(1, z));
        }
  return out;
}

Tensor gelu_by_hand(const Tensor& x) { return 0.5 * x * (1 + (x / std::sqrt(2.0)).erf()); }

TEST(Vit, AStemIsConvolutionsNormsAndGelusInFrontOfThePatches) {
  Initializer initializer(1);
  const VitConfig config{.patch_size = 4,
                         .stem = {5, 6},
                         .width = 8,
                         .layers = 0,
                         .head_width = 8,
                         .pool = VitConfig::Pool::average,
                         .class_token = false,
                         .ln_pre = false};
  Vit vit(config, 8, 0, initializer);
  for (const auto& norm : vit.stem_norms) {
    norm->running_mean.normal_();
    norm->running_var.uniform_(0.5, 2);
  }
  vit.train(false);
  const auto pixels = at::randn({1, 3, 8, 8});
  const at::NoGradGuard no_graph;
  auto map = pixels[0].to(at::kDouble);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& norm = *vit.stem_norms[i];
    const auto of_channel = [](const Tensor& x) { return x.to(at::kDouble).view({-1, 1, 1}); };
    map = (strided_by_hand(map, vit.stem_convs[i]->weight) - of_channel(norm.running_mean)) /
          (of_channel(norm.running_var) + 1e-5).sqrt();
    map = gelu_by_hand(map * of_channel(norm.weight) + of_channel(norm.bias));
  }
  // Of patches of 4 pixels the two strides leave one place.
  const auto tokens =
      vit.conv1->weight.view({8, 6}).to(at::kDouble).matmul(map.flatten(1)).t() + vit.positional_embedding;
  const auto centred = tokens - tokens.mean(1, true);
  const auto expected = centred / (centred.square().mean(1, true) + 1e-5).sqrt();
  EXPECT_LT(largest_difference(vit.features(pixels, at::kFloat, {}).tokens[0], expected), 1e-5);
  EXPECT_LT(largest_difference(vit.forward(pixels, at::kFloat)[0], expected.mean(0)), 1e-5);
  const std::vector<std::int64_t> last{-1};
  EXPECT_LT(largest_difference(vit.features(pixels, at::kFloat, last).hidden[0][0], map), 1e-5);
}

TEST(Vit, RefusesAStemThatDoesNotFitItsPatches) {
  Initializer initializer(1);
  const VitConfig config{.patch_size = 6, .stem = {4, 4}, .width = 8, .layers = 0, .head_width = 8};
  EXPECT_EQ(message_of<Error>([&] { Vit(config, 12, 0, initializer); }),
            "[Vit] a stem of 2 convolutions needs patch_size and image_size in multiples of 4, got 6 and 12");
}

TEST(Vit, RefusesSizesThatDontDivide) {
  Initializer initializer(1);
  EXPECT_EQ(message_of<Error>([&] { Vit({.patch_size = 8, .head_width = 7}, 16, 12, initializer); }),
            "[Vit] width 768 is not a multiple of head_width 7");
}

TEST(ModifiedResNet, ABlockStartsAsTheIdentity) {
  Initializer initializer(1);
  Bottleneck block(16, 4, 1, initializer);
  const auto x = at::randn({2, 16, 4, 4}).relu();
  EXPECT_LT(largest_difference(block.forward(x), x), 1e-6);
}

TEST(ModifiedResNet, TracksBatchStatisticsOnlyWhileTraining) {
  Initializer initializer(1);
  BatchNorm2d norm(2);
  norm.eval();
  const auto x = at::randn({8, 2, 4, 4}) * 3 + 1;
  norm.forward(x);
  EXPECT_EQ(norm.running_mean.abs().max().item<float>(), 0.0F);
  norm.train();
  const auto y = norm.forward(x);
  EXPECT_LT(y.mean({0, 2, 3}).abs().max().item<float>(), 1e-5F);
  EXPECT_LT(largest_difference(norm.running_mean, 0.1 * x.mean({0, 2, 3})), 1e-5);
  EXPECT_EQ(norm.num_batches_tracked.item<std::int64_t>(), 1);
}

TEST(Towers, AreCloseToFloat32InBfloat16) {
  Initializer initializer(1);
  Vit vit({.patch_size = 8, .width = 32, .layers = 2, .head_width = 16}, 16, 12, initializer);
  ModifiedResNet resnet({.layers = {1, 1, 1, 1}, .width = 8}, 32, initializer);
  TextTransformer text({.context_length = 8, .vocab_size = 40, .width = 32, .heads = 2, .layers = 2}, initializer);
  at::NoGradGuard no_grad;
  const auto check_close = [](Tower& tower, const Tensor& x) {
    tower.eval();
    const auto exact = tower.forward(x, at::kFloat), low = tower.forward(x, at::kBFloat16).to(at::kFloat);
    EXPECT_LT(((exact - low).norm() / exact.norm()).item<double>(), 0.03);  // bfloat16 carries 8 bits
  };
  check_close(vit, at::randn({4, 3, 16, 16}));
  check_close(resnet, at::randn({4, 3, 32, 32}));
  check_close(text, at::randint(1, 40, {4, 8}, at::kLong));
}

}  // namespace
}  // namespace vlalign::nn::towers_test
