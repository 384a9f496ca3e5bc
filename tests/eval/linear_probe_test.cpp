#include "vlalign/eval/linear_probe.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::linear_probe_test {
namespace {

using test::message_of;

std::vector<std::int64_t> numbers(const at::Tensor& tensor) {
  const auto* begin = tensor.const_data_ptr<std::int64_t>();
  return {begin, begin + tensor.numel()};
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(LinearProbe, EqualsScikitLearn) {
  const auto figures =
      read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "linear_probe" / "figures.safetensors").tensors;
  const auto labels = numbers(figures.at("labels"));
  for (const auto* c : {"0.316", "10.0"}) {
    const auto of = [&](const char* name) { return figures.at(std::string(name) + "." + c); };
    const auto probe = fit_linear_probe(figures.at("features"), labels, 4, {.c = std::stod(c)});
    EXPECT_LT(largest_difference(probe.weight, of("weight")), 1e-6) << c;
    EXPECT_LT(largest_difference(probe.bias, of("bias")), 1e-6) << c;
    EXPECT_LT(largest_difference(at::softmax(probe.logits(figures.at("test")), 1), of("probability")), 1e-6) << c;
    EXPECT_TRUE(probe.predict(figures.at("test")).equal(of("predicted"))) << c;
    const auto again = fit_linear_probe(figures.at("features"), labels, 4, {.c = std::stod(c)});
    EXPECT_TRUE(again.weight.equal(probe.weight) && again.bias.equal(probe.bias)) << c;
  }
}

TEST(LinearProbe, WorksWhereGradientsAreOff) {
  at::NoGradGuard no_grad;
  auto x = at::zeros({4, 1});
  x[2][0] = 1.0, x[3][0] = 1.0;
  const auto probe = fit_linear_probe(x, std::vector<std::int64_t>{0, 0, 1, 1}, 2, {.c = 100.0});
  EXPECT_EQ(numbers(probe.predict(x)), (std::vector<std::int64_t>{0, 0, 1, 1}));
  EXPECT_FALSE(probe.weight.requires_grad());
}

/// Two points at x = -1 and 1 and two classes: by symmetry w = (-v, v), b = 0, and the derivative of
/// 2 ln(1 + exp(-2 v)) + v^2 / c is zero: v = 2 c / (1 + exp(2 v)).
TEST(LinearProbe, OfTwoPointsSolvesTheEquation) {
  auto x = at::zeros({2, 1}, at::kDouble);
  x[0][0] = -1.0, x[1][0] = 1.0;
  const double c = 0.7;
  const auto probe = fit_linear_probe(x, std::vector<std::int64_t>{0, 1}, 2, {.c = c});
  const auto v = probe.weight[1][0].item<double>();
  EXPECT_GT(v, 0.1);
  EXPECT_NEAR(v, 2 * c / (1 + std::exp(2 * v)), 1e-7);
  EXPECT_NEAR(probe.weight[0][0].item<double>(), -v, 1e-7);
  EXPECT_NEAR(probe.bias.abs().max().item<double>(), 0.0, 1e-7);
}

TEST(LinearProbe, SaysWhichArgumentIsWrong) {
  auto x = at::zeros({2, 3});
  const std::vector<std::int64_t> labels{0, 1};
  const auto complaint = [&](std::vector<std::int64_t> of, std::int64_t classes, const LinearProbeOptions& options) {
    return message_of<Error>([&] { fit_linear_probe(x, of, classes, options); });
  };
  EXPECT_EQ(complaint({0}, 2, {}), "[fit_linear_probe] labels: expected 2, got 1");
  EXPECT_EQ(complaint({0, 2}, 2, {}), "[fit_linear_probe] labels: expected 0 to 1, got 2");
  EXPECT_EQ(complaint(labels, 1, {}), "[fit_linear_probe] classes: expected 2 or more, got 1");
  EXPECT_EQ(complaint(labels, 2, {.c = 0}), "[fit_linear_probe] c: expected a positive number, got 0");
  x[0][0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(complaint(labels, 2, {}), "[fit_linear_probe] features: expected finite rows");
}

class ProbedColours : public test::Colours {};

TEST_F(ProbedColours, AreToldApartByAnUntrainedTower) {
  auto probed = model();
  const auto scores = evaluate_linear_probe(probed, pairs_, pairs_, {.c = 100.0});
  EXPECT_EQ(scores.classes, 8);
  EXPECT_EQ(scores.train_images, 8);
  EXPECT_EQ(scores.top1, 1.0);
  EXPECT_EQ(scores.mean_per_class, 1.0);
}

TEST_F(ProbedColours, AreCountedByClassOnWrongLabelsToo) {
  // Red is called green and green red in the test set, there are two blues.
  std::filesystem::copy_file(folder_.path() / "blue.png", folder_.path() / "blue 2.png");
  const auto table = folder_.path() / "test.tsv";
  write_file_atomically(table,
                        "filepath\ttitle\nred.png\ta green square\ngreen.png\ta red square\nblue.png\ta blue square\n"
                        "blue 2.png\ta blue square\n");
  const auto scores = evaluate_linear_probe(model(), pairs_, open_pairs(table.string()), {.c = 100.0});
  EXPECT_EQ(scores.test_images, 4);
  EXPECT_NEAR(scores.top1, 0.5, 1e-12);
  EXPECT_NEAR(scores.mean_per_class, 1.0 / 3.0, 1e-12);
  write_file_atomically(table, "filepath\ttitle\nred.png\ta pink square\n");
  const auto message = message_of<Error>([&] { evaluate_linear_probe(model(), pairs_, open_pairs(table.string())); });
  EXPECT_NE(message.find("its caption \"a pink square\" is not one of the training set's 8 classes"), std::string::npos)
      << message;
}

TEST_F(ProbedColours, AreEmbeddedBeforeTheProjectionIfAsked) {
  auto of = model();
  of.train(false);
  at::NoGradGuard no_grad;
  const auto features = embed_images(of, pairs_, {.projected = false}).image;
  EXPECT_EQ(features.sizes(), (std::vector<std::int64_t>{8, 32}));
  const auto projected = l2_normalize(of.module()->image_projection->forward(features));
  EXPECT_TRUE(projected.equal(embed_images(of, pairs_).image));
}

}  // namespace
}  // namespace vlalign::linear_probe_test
