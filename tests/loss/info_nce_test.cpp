#include "vlalign/loss/info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/model/safetensors.hpp"

namespace vlalign {
namespace {

at::Tensor scale(double value, at::ScalarType dtype = at::kDouble) { return at::scalar_tensor(value, dtype); }

/// The formula as it stands, one logit at a time.
double by_hand(const at::Tensor& image, const at::Tensor& text, double logit_scale) {
  const auto n = image.size(0);
  const auto x = image.accessor<double, 2>(), y = text.accessor<double, 2>();
  std::vector<std::vector<double>> logits(static_cast<std::size_t>(n),
                                          std::vector<double>(static_cast<std::size_t>(n)));
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t d = 0; d < image.size(1); ++d) logits[i][j] += logit_scale * x[i][d] * y[j][d];
    }
  }
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double row = 0, column = 0;
    for (std::int64_t j = 0; j < n; ++j) row += std::exp(logits[i][j]), column += std::exp(logits[j][i]);
    sum += std::log(row) + std::log(column) - 2 * logits[i][i];
  }
  return sum / (2.0 * static_cast<double>(n));
}

TEST(InfoNCE, EqualsItsFormulaInDouble) {
  const auto image = l2_normalize(at::randn({6, 4}, at::kDouble)), text = l2_normalize(at::randn({6, 4}, at::kDouble));
  EXPECT_NEAR(InfoNCE().forward({image, text, scale(14.3)}).item<double>(), by_hand(image, text, 14.3), 1e-12);
}

TEST(InfoNCE, EqualsThePeersLossAndGradients) {
  const auto figures =
      read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "train" / "figures.safetensors").tensors;
  const auto input = [&](const char* name) { return figures.at(name).clone().requires_grad_(); };
  const ContrastiveBatch batch{input("loss.image"), input("loss.text"), input("loss.scale")};
  const auto loss = InfoNCE().forward(batch);
  loss.backward();
  EXPECT_NEAR(loss.item<double>(), figures.at("loss.value").item<double>(), 1e-6);
  EXPECT_TRUE(batch.image.grad().allclose(figures.at("loss.image_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.text.grad().allclose(figures.at("loss.text_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.logit_scale.grad().allclose(figures.at("loss.scale_grad"), 1e-4, 1e-7));
}

TEST(InfoNCE, IsTheLogOfTheBatchWhenNothingIsTold) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(InfoNCE().forward({same, same, scale(100)}).item<double>(), std::log(8.0), 1e-12);
}

TEST(InfoNCE, IsNearlyNothingForAPerfectAlignment) {
  const auto perfect = at::eye(8, at::kDouble);
  const double expected = std::log1p(7 * std::exp(-100.0));
  EXPECT_NEAR(InfoNCE().forward({perfect, perfect, scale(100)}).item<double>(), expected, 1e-12);
}

TEST(InfoNCE, StaysFiniteInFloat32AtTheLargestScale) {
  const auto x = l2_normalize(at::randn({16, 8})).requires_grad_();
  const auto loss = InfoNCE().forward({x, -x, scale(100, at::kFloat)});
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<float>()));
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST(InfoNCE, ComputesLogitsInFloat32ForLowPrecisionEmbeddings) {
  const auto x = l2_normalize(at::randn({16, 8})).to(at::kBFloat16),
             y = l2_normalize(at::randn({16, 8})).to(at::kBFloat16);
  const auto loss = InfoNCE().forward({x, y, scale(100, at::kFloat)});
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), by_hand(x.to(at::kDouble), y.to(at::kDouble), 100), 1e-4);
}

TEST(InfoNCE, NamesTheShapeThatDoesNotFit) {
  const auto message = test::message_of<Error>([] {
    InfoNCE().forward({at::randn({4, 8}), at::randn({4, 6}), scale(1)});
  });
  EXPECT_EQ(message, "[InfoNCE] text: expected [4, 8], got [4, 6]");
}

TEST(BatchAccuracy, CountsImagesWhoseOwnTextIsNearest) {
  auto text = at::eye(4);
  text[3] = text[2];  // image 2 has a rival as near as its own text, image 3 is nowhere near its own
  EXPECT_DOUBLE_EQ(batch_accuracy(at::eye(4), text), 0.5);
  EXPECT_DOUBLE_EQ(batch_accuracy(at::ones({4, 2}), at::ones({4, 2})), 0.0);
}

TEST(AnyLoss, TakesALambda) {
  const AnyLoss loss = [](const ContrastiveBatch& b) { return (b.image - b.text).square().sum(); };
  EXPECT_DOUBLE_EQ(loss->forward({at::ones({1, 3}), -at::ones({1, 3}), {}}).item<double>(), 12.0);
}

}  // namespace
}  // namespace vlalign
