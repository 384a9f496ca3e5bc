#include "vlalign/nn/lora.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <limits>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn::lora_test {
namespace {

using test::message_of;

double largest_difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// A Transformer whose adapter is no longer the zero it starts as.
std::shared_ptr<Transformer> adapted(const LoraOptions& options, std::int64_t layers = 2, std::int64_t width = 16) {
  Initializer initializer(1);
  const auto transformer = std::make_shared<Transformer>(
      TransformerOptions{.width = width, .heads = 2, .layers = layers, .mlp_ratio = 2}, initializer);
  add_lora(*transformer, options, initializer);
  at::NoGradGuard no_grad;
  for (const auto& [name, lora] : adapters(*transformer)) lora->b.copy_(initializer.normal(lora->b.sizes(), 0.3));
  return transformer;
}

TEST(Lora, StartsAsTheModelItself) {
  Initializer initializer(1);
  Transformer transformer({.width = 16, .heads = 2, .layers = 2}, initializer);
  const auto x = at::randn({2, 5, 16});
  const auto before = transformer.forward(x, {});
  add_lora(transformer, {.rank = 4}, initializer);
  EXPECT_TRUE(transformer.forward(x, {}).equal(before));
  for (const auto& [name, lora] : adapters(transformer)) {
    EXPECT_EQ(lora->b.abs().max().item<float>(), 0.0F) << name;
    const double bound = 1.0 / std::sqrt(static_cast<double>(lora->a.size(1)));
    EXPECT_LE(lora->a.abs().max().item<double>(), bound) << name;
    EXPECT_GT(lora->a.abs().max().item<double>(), 0.8 * bound) << name;
  }
}

/// Each of queries, keys and values: x (W + alpha / rank B A)^T, written out.
TEST(Lora, OfAFusedProjectionEqualsTheFormulaBlockByBlock) {
  const auto transformer = adapted({.rank = 3, .alpha = 6, .mlp = false});
  transformer->to(at::kDouble);
  const auto& attention = *transformer->resblocks[0]->attn;
  const auto x = at::randn({2, 5, 16}, at::kDouble);
  const auto y = at::linear(x, attention.in_proj_weight, attention.in_proj_bias);
  std::vector<Tensor> expected;
  for (std::int64_t block = 0; block < 3; ++block) {
    const auto a = attention.lora->a.narrow(0, 3 * block, 3), b = attention.lora->b.narrow(0, 16 * block, 16);
    const auto weight = attention.in_proj_weight.narrow(0, 16 * block, 16) + 2.0 * at::matmul(b, a);
    expected.push_back(at::linear(x, weight, attention.in_proj_bias.narrow(0, 16 * block, 16)));
  }
  EXPECT_LT(largest_difference(attention.lora->add_to(y, x), at::cat(expected, -1)), 1e-12);
  const auto two = attention.lora->add_to(y.narrow(-1, 16, 32), x, 1, 2);  // keys and values alone
  EXPECT_LT(largest_difference(two, at::cat({expected[1], expected[2]}, -1)), 1e-12);
  EXPECT_LT(
      largest_difference(at::linear(x, attention.lora->merged_weight(), attention.in_proj_bias), at::cat(expected, -1)),
      1e-12);
}

TEST(Lora, GradientsEqualFiniteDifferences) {
  const auto transformer = adapted({.rank = 2, .alpha = 3}, /*layers=*/1, /*width=*/4);
  transformer->to(at::kDouble);
  const auto x = at::randn({2, 3, 4}, at::kDouble), weights = at::randn({2, 3, 4}, at::kDouble);
  const auto loss = [&] { return (transformer->forward(x, {}) * weights).sum(); };
  loss().backward();
  at::NoGradGuard no_grad;
  constexpr double step = 1e-5;
  int compared = 0;
  for (const auto& [name, tensor] : adapter_tensors(*transformer)) {
    const auto gradient = transformer->named_parameters()[name].grad();
    ASSERT_TRUE(gradient.defined()) << name;
    const auto values = tensor.view(-1);
    for (std::int64_t i = 0; i < values.numel(); ++i, ++compared) {
      const auto value = values[i].item<double>();
      values[i] = value + step;
      const auto up = loss().item<double>();
      values[i] = value - step;
      const auto down = loss().item<double>();
      values[i] = value;
      EXPECT_NEAR(gradient.view(-1)[i].item<double>(), (up - down) / (2 * step), 1e-8) << name << " " << i;
    }
  }
  EXPECT_EQ(compared, (6 * 4 + 12 * 2) + (2 * 4 + 4 * 2) + (2 * 4 + 8 * 2) + (2 * 8 + 4 * 2));
}

TEST(Lora, OnlyTheAdapterGetsGradients) {
  const auto transformer = adapted({.train = {"resblocks.1.ln_?.*"}});
  transformer->forward(at::randn({2, 3, 16}), {}).square().sum().backward();
  for (const auto& item : transformer->named_parameters()) {
    const bool trains = item.key().find(".lora.") != std::string::npos || item.key().starts_with("resblocks.1.ln_");
    EXPECT_EQ(item.value().requires_grad(), trains) << item.key();
    EXPECT_EQ(item.value().grad().defined(), trains) << item.key();
  }
}

TEST(Lora, MergedItComputesTheSameAndUnmergedItHasItsBitsBack) {
  const auto transformer = adapted({.rank = 4});
  at::NoGradGuard no_grad;
  const auto x = at::randn({3, 7, 16});
  const auto before = transformer->forward(x, {});
  std::map<std::string, Tensor> weights;
  for (const auto& item : transformer->named_parameters()) weights[item.key()] = item.value().clone();
  for (int times = 0; times < 2; ++times) {
    for (const auto& [name, lora] : adapters(*transformer)) lora->merge();
  }
  EXPECT_LT(largest_difference(transformer->forward(x, {}), before), 1e-5);
  EXPECT_FALSE(transformer->resblocks[0]->mlp->c_fc->weight.equal(weights.at("resblocks.0.mlp.c_fc.weight")));
  for (const auto& [name, lora] : adapters(*transformer)) lora->unmerge();
  for (const auto& item : transformer->named_parameters()) EXPECT_TRUE(item.value().equal(weights.at(item.key())));
  EXPECT_TRUE(transformer->forward(x, {}).equal(before));
}

TEST(Lora, ReachesThePooledTokenToo) {
  const auto transformer = adapted({.rank = 4});
  const auto x = at::randn({4, 6, 16});
  const auto mask = at::full({6, 6}, -std::numeric_limits<double>::infinity()).triu_(1);
  const auto whole = transformer->forward(x, mask), pooled = transformer->forward_pooled(x, mask, at::arange(1, 5));
  for (std::int64_t b = 0; b < 4; ++b) EXPECT_LT(largest_difference(pooled[b], whole[b][b + 1]), 1e-5) << b;
}

TEST(Lora, IsCloseToFloat32InBfloat16) {
  const auto transformer = adapted({.rank = 4});
  at::NoGradGuard no_grad;
  const auto x = at::randn({3, 7, 16});
  const auto exact = transformer->forward(x, {}), low = transformer->forward(x.to(at::kBFloat16), {}).to(at::kFloat);
  EXPECT_LT(((exact - low).norm() / exact.norm()).item<double>(), 0.03);  // bfloat16 carries 8 bits
}

TEST(Lora, AdaptsWhatThePatternsChoose) {
  const auto names = [](const LoraOptions& options) {
    std::vector<std::string> all;
    for (const auto& [name, lora] : adapters(*adapted(options))) all.push_back(name);
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({.mlp = false, .modules = {"resblocks.1.*"}}),
            (Names{"resblocks.1.attn.in_proj_weight", "resblocks.1.attn.out_proj.weight"}));
  EXPECT_EQ(names({.attention = false, .modules = {"*.0.mlp"}}),
            (Names{"resblocks.0.mlp.c_fc.weight", "resblocks.0.mlp.c_proj.weight"}));
  EXPECT_EQ(names({}).size(), 8U);
}

TEST(Lora, CanBeTakenOff) {
  const auto transformer = adapted({});
  const auto count = transformer->parameters().size();
  remove_lora(*transformer);
  EXPECT_TRUE(adapters(*transformer).empty());
  EXPECT_EQ(count - transformer->parameters().size(), 16U);
}

TEST(Lora, NamesOptionsThatCannotWork) {
  Initializer initializer(1);
  Transformer transformer({.width = 16, .heads = 2, .layers = 1}, initializer);
  const auto complaint = [&](const LoraOptions& options) {
    return message_of<Error>([&] { add_lora(transformer, options, initializer); });
  };
  EXPECT_EQ(complaint({.rank = 0}), "[add_lora] rank: expected 1 or more, got 0");
  EXPECT_EQ(complaint({.rank = 17}), "[add_lora] rank: expected 1 to 16, got 17: a chosen weight is [16, 16]");
  EXPECT_EQ(complaint({.alpha = 0}), "[add_lora] alpha: expected more than 0, got 0");
  EXPECT_EQ(complaint({.attention = false, .mlp = false}), "[add_lora] neither attention nor mlp is chosen");
  EXPECT_EQ(complaint({.mlp = false, .modules = {"*", "resblocks.0.mlp"}}),
            "[add_lora] modules: \"resblocks.0.mlp\" fits no attention module of a Transformer");
  EXPECT_EQ(complaint({.train = {"logit_scale"}}), "[add_lora] train: no parameter fits \"logit_scale\"");
  for (const auto& parameter : transformer.parameters()) EXPECT_TRUE(parameter.requires_grad());
  add_lora(transformer, {}, initializer);
  EXPECT_NE(complaint({}).find("has an adapter already"), std::string::npos);
}

}  // namespace
}  // namespace vlalign::nn::lora_test
