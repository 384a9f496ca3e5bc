// Rotary positions, gated MLPs and the other options of a block against their formulas in double.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "support/layers_by_hand.hpp"
#include "vlalign/nn/mlp.hpp"
#include "vlalign/nn/rotary.hpp"
#include "vlalign/nn/transformer.hpp"

namespace vlalign::nn::block_options_test {
namespace {

using test::distance;
using test::Vector;
using test::vector_of;

/// The angle by which each pair of a patch's channels turns.
Vector angles_by_hand(const RotaryConfig& config, int rows, int columns, int row, int column, int width) {
  const auto place = [&](int step, int count) {
    if (config.coordinates == RotaryConfig::Coordinates::normalized)
      return 2 * std::numbers::pi * (2 * (step + 0.5) / count - 1);
    return (step + config.offset) * (config.reference > 0 ? static_cast<double>(config.reference) / count : 1);
  };
  const double y = place(row, rows), x = place(column, columns);
  Vector angles;
  for (const double along : config.columns_first ? Vector{x, y} : Vector{y, x}) {
    for (int i = 0; i < width / 4; ++i) angles.push_back(along * std::pow(config.temperature, -4.0 * i / width));
  }
  return angles;
}

Vector turned_by_hand(const Vector& x, const Vector& angles, bool halves) {
  auto y = x;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const auto a = halves ? i : 2 * i, b = halves ? i + angles.size() : 2 * i + 1;
    y[a] = x[a] * std::cos(angles[i]) - x[b] * std::sin(angles[i]);
    y[b] = x[b] * std::cos(angles[i]) + x[a] * std::sin(angles[i]);
  }
  return y;
}

const RotaryConfig rotaries[] = {
    {},
    {.temperature = 100, .offset = 1, .reference = 7, .columns_first = true},
    {.temperature = 50, .halves = true},
    {.coordinates = RotaryConfig::Coordinates::normalized, .temperature = 100, .halves = true},
};

TEST(Rotary, TurnsEachPatchByItsPlace) {
  const int rows = 3, columns = 5, width = 8;
  for (const auto& config : rotaries) {
    const auto x = at::randn({2, 2, rows * columns, width});
    const auto y = rotated(x, grid_rotation(config, rows, columns, width));
    for (int place = 0; place < rows * columns; ++place) {
      const auto angles = angles_by_hand(config, rows, columns, place / columns, place % columns, width);
      const auto expected = turned_by_hand(vector_of(x[1][1][place]), angles, config.halves);
      EXPECT_LT(distance(y[1][1][place], expected), 1e-6) << "place " << place;
    }
  }
}

TEST(Rotary, TurnsWordsAlongALine) {
  const auto x = at::randn({1, 1, 300, 6});
  const auto y = rotated(x, line_rotation(1000, 300, 6));
  for (const int place : {0, 1, 299}) {
    Vector angles;
    for (int i = 0; i < 3; ++i) angles.push_back(place * std::pow(1000, -2.0 * i / 6));
    EXPECT_LT(distance(y[0][0][place], turned_by_hand(vector_of(x[0][0][place]), angles, false)), 1e-6);
  }
}

TEST(Rotary, GivesTheSameOfRowsThatLieApart) {
  for (const auto& config : rotaries) {
    const auto rotation = grid_rotation(config, 2, 3, 8);
    const auto x = at::randn({2, 6, 3, 8}).transpose(1, 2);
    EXPECT_TRUE(rotated(x, rotation).equal(rotated(x.contiguous(), rotation)));
    const auto odd = at::randn({2, 3, 8, 6}).transpose(2, 3);
    EXPECT_TRUE(rotated(odd, rotation).equal(rotated(odd.contiguous(), rotation)));
  }
}

TEST(Rotary, ComputesBfloat16InFloat32) {
  const auto x = at::randn({1, 2, 6, 8}).to(at::kBFloat16);
  const auto rotation = grid_rotation({}, 2, 3, 8);
  EXPECT_TRUE(rotated(x, rotation).equal(rotated(x.to(at::kFloat), rotation).to(at::kBFloat16)));
}

TEST(Rotary, GradientTurnsBack) {
  for (const auto& config : rotaries) {
    const auto rotation = grid_rotation(config, 2, 3, 8);
    const auto x = at::randn({2, 2, 6, 8}).requires_grad_(), upstream = at::randn({2, 2, 6, 8});
    rotated(x, rotation).backward(upstream);
    EXPECT_LT((rotated(x.grad(), rotation) - upstream).abs().max().item<double>(), 1e-6);
  }
}

TEST(Rotary, PicksThePlacesAskedFor) {
  const auto all = grid_rotation({}, 2, 3, 8).behind(1);
  const auto x = at::randn({2, 2, 7, 8});
  const auto y = rotated(x, all);
  EXPECT_TRUE(y.select(2, 0).equal(x.select(2, 0)));  // the place in front
  const auto index = at::arange(6, at::kLong).view({2, 3});
  const auto places = index.view({2, 1, 3, 1}).expand({-1, 2, -1, 8});
  EXPECT_TRUE(rotated(x.gather(2, places), all.of(index)).equal(y.gather(2, places)));
  const auto last = index.select(1, 2);
  const auto ends = last.view({2, 1, 1, 1}).expand({-1, 2, 1, 8});
  EXPECT_TRUE(rotated(x.gather(2, ends), all.at(last)).equal(y.gather(2, ends)));
  EXPECT_TRUE(rotated(x.gather(2, ends), all.of(index).at(at::full({2}, 2, at::kLong))).equal(y.gather(2, ends)));
}

TEST(Rotary, KeepsAGridUntilAnotherIsAskedFor) {
  const KeptGridRotation kept;
  const auto ask = [&](int rows, int columns) { return kept({}, rows, columns, 8, 1, at::kCPU); };
  const auto first = ask(2, 3);
  EXPECT_TRUE(ask(2, 3).cosines.is_same(first.cosines));
  EXPECT_TRUE(ask(3, 2).cosines.equal(grid_rotation({}, 3, 2, 8).behind(1).cosines));
  EXPECT_TRUE(ask(2, 3).sines.equal(first.sines));
}

TEST(Mlp, GatesOneHalfWithTheOther) {
  for (const auto kind : {BlockConfig::Mlp::gated, BlockConfig::Mlp::gated_last}) {
    Initializer initializer(1);
    const Mlp mlp({.width = 6, .mlp_ratio = 1.5, .activation = Activation::silu, .block = {.mlp = kind}}, initializer);
    const auto x = at::randn({6});
    auto both = test::linear_by_hand(*mlp.c_fc, vector_of(x));
    ASSERT_EQ(both.size(), 18U);
    Vector hidden;
    for (std::size_t i = 0; i < 9; ++i) {
      const bool first = kind == BlockConfig::Mlp::gated;
      const double gate = both[first ? i : 9 + i], value = both[first ? 9 + i : i];
      hidden.push_back(gate / (1 + std::exp(-gate)) * value);
    }
    EXPECT_LT(distance(mlp.forward(x), test::linear_by_hand(*mlp.c_proj, hidden)), 1e-6);
  }
}

TEST(RmsNorm, DividesByTheRootMeanSquare) {
  const auto norm = make_norm(BlockConfig::Norm::rms, 7, 1e-3);
  test::randomize(*norm);
  const auto x = at::randn({7}), weight = norm->named_parameters()["weight"];
  double square = 0;
  for (const double v : vector_of(x)) square += v * v / 7;
  auto expected = vector_of(x);
  for (std::size_t i = 0; i < 7; ++i) expected[i] *= vector_of(weight)[i] / std::sqrt(square + 1e-3);
  EXPECT_LT(distance(norm->forward(x), expected), 1e-6);
  EXPECT_EQ(norm->parameters().size(), 1U);
}

TEST(Attention, WithoutABiasOfKeysEqualsOneOfZeros) {
  Initializer initializer(1);
  using Bias = BlockConfig::QkvBias;
  Attention partly(8, 2, {.block = {.qkv_bias = Bias::all_but_keys}}, initializer), whole(8, 2, {}, initializer);
  const at::NoGradGuard no_grad;
  const auto x = at::randn({2, 3, 8});
  for (int round = 0; round < 3; ++round) {  // the bias follows its parameters, in bfloat16 too
    test::randomize(partly);
    whole.in_proj_weight.copy_(partly.in_proj_weight);
    whole.out_proj->weight.copy_(partly.out_proj->weight), whole.out_proj->bias.copy_(partly.out_proj->bias);
    whole.in_proj_bias.narrow(0, 0, 8).copy_(partly.q_bias);
    whole.in_proj_bias.narrow(0, 8, 8).zero_();
    whole.in_proj_bias.narrow(0, 16, 8).copy_(partly.v_bias);
    EXPECT_TRUE(partly.forward(x, x, {}).equal(whole.forward(x, x, {})));
    const auto half = x.to(at::kBFloat16);
    EXPECT_TRUE(partly.forward(half, half, {}).equal(whole.forward(half, half, {})));
  }
}

TEST(Attention, GateMultipliesTheHeadsBeforeTheOutput) {
  Initializer initializer(1);
  Attention gated(8, 2, {.block = {.gate = true}}, initializer);
  test::randomize(gated);
  const at::NoGradGuard no_grad;
  const auto x = at::randn({1, 3, 8});
  const auto before = gated.forward(x, x, {});
  gated.gate->weight.zero_();
  gated.gate->bias.fill_(100);  // open
  const auto open = gated.forward(x, x, {});
  gated.gate = nullptr;
  EXPECT_LT((open - gated.forward(x, x, {})).abs().max().item<double>(), 1e-6);
  EXPECT_GT((open - before).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace vlalign::nn::block_options_test
