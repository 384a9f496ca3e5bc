#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/inverse.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "support/finite_differences.hpp"
#include "support/layers_by_hand.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/train/optimizer.hpp"
#include "vlalign/vla/head/bins_head.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"
#include "vlalign/vla/head/regression_head.hpp"
#include "vlalign/vla/head/retrieval_head.hpp"

namespace vlalign::vla::action_heads_test {
namespace {

using test::message_of;
using test::mlp_by_hand;
using test::Vector;
using test::vector_of;

constexpr std::int64_t batch = 4, width = 6;
constexpr ActionShape chunk{.horizon = 3, .dims = 2};
constexpr std::int64_t phrases = 5;

Vector residual_mlp_by_hand(const ResidualMlp& mlp, const Vector& x) {
  auto y = test::linear_by_hand(*mlp.in, x);
  for (std::size_t i = 0; i < mlp.mlps.size(); ++i)
    y = test::plus(y, mlp_by_hand(*mlp.mlps[i]->c_fc, *mlp.mlps[i]->c_proj, test::norm_by_hand(*mlp.norms[i], y)));
  return test::linear_by_hand(*mlp.out, test::norm_by_hand(*mlp.norm_out, y));
}

at::Generator seeded(std::uint64_t seed) { return at::detail::createCPUGenerator(seed); }

Tensor random_actions(std::int64_t count = batch) { return at::rand({count, chunk.horizon, chunk.dims}) * 1.8 - 0.9; }

/// The steps that count: all three, two, one, none.
Tensor ragged_mask() {
  auto mask = at::ones({batch, chunk.horizon}, at::kBool);
  for (std::int64_t b = 1; b < batch; ++b) mask[b].narrow(0, 3 - b, b).fill_(false);
  return mask;
}

ActionBank random_bank() {
  return {.phrases = at::randn({phrases, 7}), .actions = at::randn({phrases, chunk.horizon, chunk.dims})};
}

std::shared_ptr<ActionHead> make_head(const std::string& name) {
  nn::Initializer initializer(1);
  using Loss = RegressionHead::Loss;
  const auto regression = [&](Loss loss) {
    return std::make_shared<RegressionHead>(width, chunk, RegressionHead::Options{.loss = loss, .hidden = 64},
                                            initializer);
  };
  if (name == "mse") return regression(Loss::mse);
  if (name == "l1") return regression(Loss::l1);
  if (name == "huber") return regression(Loss::huber);
  if (name == "bins") return std::make_shared<BinsHead>(width, chunk, BinsHead::Options{.hidden = 64}, initializer);
  if (name == "flow")
    return std::make_shared<FlowMatchingHead>(width, chunk, FlowMatchingHead::Options{.hidden = 64, .layers = 2},
                                              initializer);
  return std::make_shared<RetrievalHead>(width, chunk, random_bank(), RetrievalHead::Options{.hidden = 64},
                                         initializer);
}

void train(ActionHead& head, const Tensor& features, const Tensor& actions, int steps, double rate) {
  Optimizer::NamedParameters parameters;
  for (const auto& item : head.named_parameters()) parameters.emplace_back(item.key(), item.value());
  Optimizer optimizer(parameters, AdamWOptions{.beta2 = 0.99, .weight_decay = 0.0});
  for (int step = 0; step < steps; ++step) {
    head.loss(features, actions, {}, seeded(static_cast<std::uint64_t>(step))).backward();
    optimizer.step(rate * (1 - step / static_cast<double>(steps)));
    optimizer.zero_grad();
  }
}

double largest_difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// The mean over the steps that count of per_step(b, h).
template <typename PerStep>
double mean_by_hand(const Tensor& mask, const PerStep& per_step) {
  double sum = 0, count = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < chunk.horizon; ++h) {
      if (!mask[b][h].item<bool>()) continue;
      sum += per_step(b, h);
      ++count;
    }
  }
  return sum / count;
}

class EachHead : public testing::TestWithParam<std::string> {};

TEST_P(EachHead, WhatStandsInStepsThatDoNotCountChangesNotABit) {
  const auto head = make_head(GetParam());
  const auto features = at::randn({batch, width}), actions = random_actions(), mask = ragged_mask();
  const auto nan = at::full({}, std::numeric_limits<float>::quiet_NaN());
  const auto loss = head->loss(features, actions, mask, seeded(1));
  EXPECT_TRUE(loss.equal(head->loss(features, actions.where(mask.unsqueeze(-1), nan), mask, seeded(1))));
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_EQ(loss.dim(), 0);
}

TEST_P(EachHead, IsZeroWithZeroGradientWhenNoStepCounts) {
  const auto head = make_head(GetParam());
  const auto none = at::zeros({batch, chunk.horizon}, at::kBool);
  const auto loss = head->loss(at::randn({batch, width}), random_actions(), none, seeded(1));
  loss.backward();
  EXPECT_EQ(loss.item<double>(), 0.0);
  for (const auto& parameter : head->parameters()) EXPECT_EQ(parameter.grad().abs().max().item<double>(), 0.0);
}

TEST_P(EachHead, AMaskOfAllStepsChangesNothing) {
  const auto head = make_head(GetParam());
  const auto features = at::randn({batch, width}), actions = random_actions();
  const auto all = at::ones({batch, chunk.horizon}, at::kBool);
  EXPECT_NEAR(head->loss(features, actions, {}, seeded(1)).item<double>(),
              head->loss(features, actions, all, seeded(1)).item<double>(), 1e-5);
}

TEST_P(EachHead, ItsGradientIsThatOfFiniteDifferences) {
  const auto head = make_head(GetParam());
  head->to(at::kDouble);
  auto inputs = head->parameters();
  inputs.push_back(at::randn({batch, width}, at::kDouble));
  const auto actions = random_actions().to(at::kDouble), mask = ragged_mask();
  const auto loss = [&] { return head->loss(inputs.back(), actions, mask, seeded(1)); };
  EXPECT_LT(test::gradient_error(inputs, loss), 1e-6);
}

TEST_P(EachHead, PredictsTheSameBitsFromTheSameSeed) {
  const auto head = make_head(GetParam());
  const auto features = at::randn({batch, width});
  EXPECT_TRUE(head->predict(features, seeded(3)).equal(head->predict(features, seeded(3))));
  EXPECT_FALSE(head->predict(features, seeded(3)).requires_grad());
}

TEST_P(EachHead, LearnsAFewSamplesByHeart) {
  const auto head = make_head(GetParam());
  const auto features = at::randn({batch, width});
  auto actions = random_actions();
  double within = 0.05;
  if (const auto* retrieval = dynamic_cast<const RetrievalHead*>(head.get())) {
    actions = retrieval->actions.slice(0, 0, batch).clone();
    within = 0.0;
  }
  if (GetParam() == "bins") within = 1.0 / 256 + 1e-6;  // half a bin
  const bool flow = GetParam() == "flow";
  const std::int64_t copies = flow ? 64 : 1;  // each with noise and a time of its own
  train(*head, features.repeat({copies, 1}), actions.repeat({copies, 1, 1}), flow ? 600 : 300, 1e-2);
  EXPECT_LE(largest_difference(head->predict(features, seeded(1)), actions), within);
}

TEST_P(EachHead, SaysWhichShapeIsWrong) {
  const auto head = make_head(GetParam());
  const auto loss = [&](const Tensor& features, const Tensor& actions, const Tensor& mask) {
    const auto message = message_of<Error>([&] { head->loss(features, actions, mask, seeded(1)); });
    return message.substr(message.find(' ') + 1);
  };
  const auto features = at::zeros({batch, width}), actions = random_actions();
  EXPECT_EQ(loss(at::zeros({batch, 5}), actions, {}), "features: expected [B, 6], got [4, 5]");
  EXPECT_EQ(loss(features, at::zeros({batch, 3}), {}), "actions: expected [4, 3, 2], got [4, 3]");
  EXPECT_EQ(loss(features, actions, at::ones({batch, 2}, at::kBool)), "mask: expected bool [4, 3], got Bool [4, 2]");
  EXPECT_EQ(loss(features, actions, at::ones({batch, 3})), "mask: expected bool [4, 3], got Float [4, 3]");
}

INSTANTIATE_TEST_SUITE_P(ActionHead, EachHead, testing::Values("mse", "l1", "huber", "bins", "flow", "retrieval"),
                         [](const auto& test) { return test.param; });

class Regression : public testing::TestWithParam<std::string> {};

TEST_P(Regression, EqualsItsFormulaInDouble) {
  const auto head = std::dynamic_pointer_cast<RegressionHead>(make_head(GetParam()));
  const auto features = at::randn({batch, width}), actions = random_actions() * 3, mask = ragged_mask();
  const auto error = [&](double x) {
    if (GetParam() == "mse") return x * x;
    if (GetParam() == "l1") return std::abs(x);
    return std::abs(x) <= 1 ? x * x / 2 : std::abs(x) - 0.5;
  };
  const double expected = mean_by_hand(mask, [&](std::int64_t b, std::int64_t h) {
    const auto out = residual_mlp_by_hand(*head->mlp, vector_of(features[b]));
    double sum = 0;
    for (std::int64_t a = 0; a < chunk.dims; ++a)
      sum += error(out[static_cast<std::size_t>(h * chunk.dims + a)] - actions[b][h][a].item<double>());
    return sum / chunk.dims;
  });
  EXPECT_NEAR(head->loss(features, actions, mask).item<double>(), expected, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(RegressionHead, Regression, testing::Values("mse", "l1", "huber"),
                         [](const auto& test) { return test.param; });

TEST(BinsHead, EqualsItsFormulaInDouble) {
  nn::Initializer initializer(1);
  constexpr std::int64_t bins = 7;
  const std::vector<double> low{-1, -0.2}, high{1, 0.6};
  const BinsHead head(width, chunk, {.bins = bins, .low = low, .high = high, .hidden = 9}, initializer);
  const auto features = at::randn({batch, width}), actions = random_actions() * 1.3, mask = ragged_mask();
  const double expected = mean_by_hand(mask, [&](std::int64_t b, std::int64_t h) {
    const auto logits = residual_mlp_by_hand(*head.mlp, vector_of(features[b]));
    double sum = 0;
    for (std::size_t a = 0; a < 2; ++a) {
      const auto first = logits.begin() + (h * chunk.dims + static_cast<std::int64_t>(a)) * bins;
      const auto shares = test::softmax_by_hand({first, first + bins});
      const double value = actions[b][h][static_cast<std::int64_t>(a)].item<double>();
      int bin = 0;  // how many inner edges lie below
      for (int edge = 1; edge < bins; ++edge) bin += value >= low[a] + (high[a] - low[a]) * edge / bins;
      sum -= std::log(shares[static_cast<std::size_t>(bin)]);
    }
    return sum / chunk.dims;
  });
  EXPECT_NEAR(head.loss(features, actions, mask).item<double>(), expected, 1e-5);
}

TEST(BinsHead, AValueComesBackWithinHalfABinAndOutsideAtTheEdge) {
  nn::Initializer initializer(1);
  const ActionShape one{.horizon = 1, .dims = 1};
  const BinsHead head(width, one, {.bins = 256, .low = {-0.5}, .high = {1.5}}, initializer);
  const auto values = at::linspace(-0.5, 1.5, 1001).unsqueeze(1);
  const double half_bin = 1.0 / 256;
  EXPECT_LT(largest_difference(head.centre_of(head.bin_of(values)), values), half_bin + 1e-6);
  const auto outside = head.centre_of(head.bin_of(at::full({1, 1}, 9.0)));
  EXPECT_NEAR(outside.item<double>(), 1.5 - half_bin, 1e-6);
  EXPECT_EQ(head.bin_of(at::full({1, 1}, -9.0)).item<std::int64_t>(), 0);
}

TEST(BinsHead, RefusesRangesThatAreNone) {
  nn::Initializer initializer(1);
  EXPECT_EQ(message_of<Error>([&] {
              BinsHead(width, chunk, {.low = {0, 0, 0}}, initializer);
            }),
            "[BinsHead] low: expected 1 value or 2, got 3");
  EXPECT_EQ(message_of<Error>([&] { BinsHead(width, chunk, {.low = {1}}, initializer); }),
            "[BinsHead] high: expected more than low, got [1] and [1]");
}

TEST(FlowMatchingHead, EqualsItsFormulaInDouble) {
  const auto head = std::dynamic_pointer_cast<FlowMatchingHead>(make_head("flow"));
  const auto features = at::randn({batch, width}), actions = random_actions(), mask = ragged_mask();
  const auto generator = seeded(5);
  const auto noise = head->draw_noise(batch, generator);
  const auto t = FlowMatchingHead::draw_times(batch, generator);
  auto x = at::zeros_like(noise);
  for (std::int64_t b = 0; b < batch; ++b) {
    const double time = t[b].item<double>();
    for (std::int64_t h = 0; h < chunk.horizon; ++h) {
      for (std::int64_t a = 0; a < chunk.dims; ++a)
        x[b][h][a].fill_(time * noise[b][h][a].item<double>() +
                         (1 - time) * (mask[b][h].item<bool>() ? actions[b][h][a].item<double>() : 0.0));
    }
  }
  const auto v = head->velocity(features, x, t);
  const double expected = mean_by_hand(mask, [&](std::int64_t b, std::int64_t h) {
    double sum = 0;
    for (std::int64_t a = 0; a < chunk.dims; ++a) {
      const double wanted = noise[b][h][a].item<double>() - actions[b][h][a].item<double>();
      sum += std::pow(v[b][h][a].item<double>() - wanted, 2);
    }
    return sum / chunk.dims;
  });
  EXPECT_NEAR(head->loss(features, actions, mask, seeded(5)).item<double>(), expected, 1e-5);
}

/// The field itself, worked in double.
Vector velocity_by_hand(const FlowMatchingHead& head, const Vector& features, const Vector& x, double t) {
  Vector time(64);
  for (int i = 0; i < 32; ++i) {
    const double period = 4e-3 * std::pow(4.0 / 4e-3, i / 31.0);
    time[i] = std::sin(2 * M_PI * t / period);
    time[32 + i] = std::cos(2 * M_PI * t / period);
  }
  return residual_mlp_by_hand(*head.mlp, test::joined(test::joined(features, x), time));
}

TEST(FlowMatchingHead, PredictsByTenEulerStepsFromTheNoiseInDouble) {
  const auto head = std::dynamic_pointer_cast<FlowMatchingHead>(make_head("flow"));
  const auto features = at::randn({batch, width}), noise = head->draw_noise(batch, seeded(2));
  const auto predicted = head->predict(features, seeded(2));
  EXPECT_TRUE(predicted.equal(head->predict_from(features, noise)));
  for (std::int64_t b = 0; b < batch; ++b) {
    auto x = vector_of(noise[b]);
    for (int step = 0; step < 10; ++step) {
      const auto v = velocity_by_hand(*head, vector_of(features[b]), x, 1 - step / 10.0);
      for (std::size_t i = 0; i < x.size(); ++i) x[i] -= v[i] / 10;
    }
    EXPECT_LT(test::distance(predicted[b], x), 1e-4) << "sample " << b;
  }
}

TEST(FlowMatchingHead, ItsTimesAreDrawnFromTheBetaDistribution) {
  constexpr std::int64_t count = 20000;
  const auto times = FlowMatchingHead::draw_times(count, seeded(1));
  auto u = vector_of((times - 0.001) / 0.999);
  std::sort(u.begin(), u.end());
  EXPECT_GE(times.min().item<double>(), 0.001);
  EXPECT_LE(times.max().item<double>(), 1.0);
  // Beta(a, b) has mean a / (a + b) and variance a b / ((a + b)^2 (a + b + 1)).
  const double a = 1.5, b = 1, mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
  double sum = 0, squares = 0;
  for (const double x : u) sum += x, squares += (x - mean) * (x - mean);
  EXPECT_NEAR(sum / count, mean, 4 * std::sqrt(variance / count));
  EXPECT_NEAR(squares / count, variance, 0.02 * variance);
  // Kolmogorov and Smirnov, against the density x^(a-1) (1-x)^(b-1) / B(a, b), summed up.
  const double beta = std::tgamma(a) * std::tgamma(b) / std::tgamma(a + b);
  constexpr int cells = 100000;
  double below = 0, largest = 0;
  std::size_t seen = 0;
  for (int cell = 0; cell < cells; ++cell) {
    const double x = (cell + 0.5) / cells;
    below += std::pow(x, a - 1) * std::pow(1 - x, b - 1) / beta / cells;
    while (seen < u.size() && u[seen] < (cell + 1.0) / cells) ++seen;
    largest = std::max(largest, std::abs(below - static_cast<double>(seen) / count));
  }
  EXPECT_LT(largest, 1.95 / std::sqrt(count));  // exceeded once in a thousand seeds
}

TEST(FlowMatchingHead, ItsNoiseIsStandardNormal) {
  nn::Initializer initializer(1);
  const FlowMatchingHead head(1, {.horizon = 10, .dims = 10}, {}, initializer);
  const auto noise = head.draw_noise(1000, seeded(1)).to(at::kDouble);
  EXPECT_NEAR(noise.mean().item<double>(), 0.0, 0.015);
  EXPECT_NEAR(noise.square().mean().item<double>(), 1.0, 0.02);
  EXPECT_NEAR(noise.pow(4).mean().item<double>(), 3.0, 0.15);
}

TEST(FlowMatchingHead, KeepsTwoWaysApartWhereAMeanWouldFallBetween) {
  nn::Initializer initializer(1);
  FlowMatchingHead head(1, {.horizon = 1, .dims = 1}, {.hidden = 64, .layers = 2}, initializer);
  const auto actions = at::randint(0, 2, {256, 1, 1}).to(at::kFloat) * 2 - 1;
  train(head, at::ones({256, 1}), actions, 500, 3e-3);
  const auto predicted = head.predict(at::ones({400, 1}), seeded(1));
  const double close = ((predicted.abs() - 1).abs() < 0.3).to(at::kFloat).mean().item<double>();
  const double right = (predicted > 0).to(at::kFloat).mean().item<double>();
  EXPECT_GT(close, 0.9);
  EXPECT_NEAR(right, 0.5, 0.15);
}

TEST(FlowMatchingHead, DrawsNothingWithoutAGenerator) {
  const auto head = make_head("flow");
  EXPECT_EQ(message_of<Error>([&] {
              head->predict(at::zeros({1, width}));
            }),
            "[FlowMatchingHead] generator: expected one on the CPU, since this head draws noise");
}

TEST(RetrievalHead, EqualsItsFormulaInDouble) {
  const auto head = std::dynamic_pointer_cast<RetrievalHead>(make_head("retrieval"));
  const auto features = at::randn({batch, width}), actions = random_actions();
  const auto mask = ragged_mask();
  double sum = 0;
  for (std::int64_t b = 0; b + 1 < batch; ++b) {  // the last one has no step that counts
    const auto asked = residual_mlp_by_hand(*head->mlp, vector_of(features[b]));
    Vector logits, distances;
    for (std::int64_t k = 0; k < phrases; ++k) {
      const auto phrase = vector_of(head->phrases[k]);
      const double norms = std::sqrt(test::dot(asked, asked) * test::dot(phrase, phrase));
      logits.push_back(test::dot(asked, phrase) / norms / 0.07);
      distances.push_back(0);
      for (std::int64_t h = 0; h < chunk.horizon - b; ++h) {
        for (std::int64_t a = 0; a < chunk.dims; ++a)
          distances.back() += std::pow((actions[b][h][a] - head->actions[k][h][a]).item<double>(), 2);
      }
    }
    const auto nearest = std::min_element(distances.begin(), distances.end()) - distances.begin();
    sum -= std::log(test::softmax_by_hand(logits)[static_cast<std::size_t>(nearest)]);
    const auto likeliest = std::max_element(logits.begin(), logits.end()) - logits.begin();
    EXPECT_TRUE(head->predict(features)[b].equal(head->actions[likeliest]));
  }
  EXPECT_NEAR(head->loss(features, actions, mask).item<double>(), sum / 3, 1e-4);
}

TEST(Whitened, RowsHaveTheProductsOfMahalanobis) {
  const auto rows = 3 + at::mm(at::randn({40, 7}, at::kDouble), at::randn({7, 7}, at::kDouble));
  const auto apart = rows - rows.mean(0);
  const auto expected = at::mm(at::mm(apart, at::inverse(at::mm(apart.t(), apart))), apart.t());
  const auto white = whitened(rows);
  EXPECT_LT(largest_difference(at::mm(white, white.t()), expected), 1e-3);
  EXPECT_TRUE(whitened(rows.narrow(0, 0, 1)).equal(rows.narrow(0, 0, 1)));
  EXPECT_EQ(whitened(at::ones({3, 7})).abs().max().item<double>(), 0);
}

TEST(RetrievalHead, WhitensItsPhrasesToUnitLength) {
  nn::Initializer initializer(1);
  const auto bank = random_bank();
  const RetrievalHead head(width, chunk, bank, {}, initializer);
  const auto white = whitened(bank.phrases);
  for (std::int64_t k = 0; k < phrases; ++k) {
    const auto phrase = vector_of(white[k]);
    for (std::int64_t e = 0; e < 7; ++e)
      EXPECT_NEAR(head.phrases[k][e].item<double>(),
                  phrase[static_cast<std::size_t>(e)] / std::sqrt(test::dot(phrase, phrase)), 1e-5);
  }
  const ActionBank one{.phrases = bank.phrases.narrow(0, 0, 1), .actions = bank.actions.narrow(0, 0, 1)};
  EXPECT_NEAR(RetrievalHead(width, chunk, one, {}, initializer).phrases.norm().item<double>(), 1, 1e-6);
}

TEST(RetrievalHead, DoesNotCareForTheLengthOfItsPhrases) {
  nn::Initializer one(1), two(1);
  const auto bank = random_bank();
  const RetrievalHead head(width, chunk, bank, {}, one);
  const RetrievalHead longer(width, chunk, {.phrases = bank.phrases * 5, .actions = bank.actions}, {}, two);
  const auto features = at::randn({batch, width});
  EXPECT_LT(largest_difference(head.logits(features), longer.logits(features)), 1e-5);
}

TEST(RetrievalHead, KeepsItsBankWithTheWeights) {
  const auto head = make_head("retrieval");
  EXPECT_TRUE(head->named_buffers().contains("phrases"));
  EXPECT_TRUE(head->named_buffers().contains("actions"));
}

TEST(RetrievalHead, RefusesABankOfAnotherShape) {
  nn::Initializer initializer(1);
  const ActionBank bank{.phrases = at::zeros({5, 7}), .actions = at::zeros({5, 2, 2})};
  EXPECT_EQ(message_of<Error>([&] { RetrievalHead(width, chunk, bank, {}, initializer); }),
            "[RetrievalHead] bank.actions: expected [5, 3, 2], got [5, 2, 2]");
}

}  // namespace
}  // namespace vlalign::vla::action_heads_test
