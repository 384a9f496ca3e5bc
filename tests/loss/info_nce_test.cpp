#include "vlalign/loss/info_nce.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/core/normalize.hpp"

namespace vlalign::info_nce_test {
namespace {

using test::scalar;
using test::unit_rows;

/// 1/2B of the cross-entropies of each image's and each text's softmax with its wanted distribution: rows of q for the
/// images, columns for the texts, each divided by its sum, smoothed by e. One logit at a time.
double by_hand(const at::Tensor& image, const at::Tensor& text, double logit_scale, test::Matrix q = {}, double e = 0) {
  const auto cosines = test::products(image, text);
  const auto n = cosines.size();
  if (q.empty()) {
    q.assign(n, std::vector<double>(n, 0.0));
    for (std::size_t i = 0; i < n; ++i) q[i][i] = 1;
  }
  double sum = 0;
  for (const bool of_images : {true, false}) {
    for (std::size_t i = 0; i < n; ++i) {
      double exponentials = 0, total = 0;
      for (std::size_t j = 0; j < n; ++j) {
        exponentials += std::exp(logit_scale * (of_images ? cosines[i][j] : cosines[j][i]));
        total += of_images ? q[i][j] : q[j][i];
      }
      if (total == 0) continue;
      for (std::size_t j = 0; j < n; ++j) {
        const auto wanted = (1 - e) * (of_images ? q[i][j] : q[j][i]) / total + e / static_cast<double>(n);
        sum += wanted * (std::log(exponentials) - logit_scale * (of_images ? cosines[i][j] : cosines[j][i]));
      }
    }
  }
  return sum / (2.0 * static_cast<double>(n));
}

/// q_ij = 1 where the groups agree.
test::Matrix matches(const std::vector<std::int64_t>& groups) {
  test::Matrix q(groups.size(), std::vector<double>(groups.size(), 0.0));
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (std::size_t j = 0; j < groups.size(); ++j) q[i][j] = groups[i] == groups[j];
  return q;
}

at::Tensor ids(const std::vector<std::int64_t>& groups) { return at::tensor(groups, at::kLong); }

TEST(InfoNCE, EqualsItsFormulaInDouble) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  EXPECT_NEAR(InfoNCE().forward({image, text, scalar(14.3)}).item<double>(), by_hand(image, text, 14.3), 1e-12);
}

TEST(InfoNCE, EqualsThePeersLossAndGradients) {
  const auto figures =
      read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "train" / "figures.safetensors").tensors;
  const auto input = [&](const char* name) { return figures.at(name).clone().requires_grad_(); };
  const ContrastiveBatch batch{input("loss.image"), input("loss.text"), input("loss.scale")};
  const auto loss = InfoNCE().forward(batch);
  loss.backward();
  const auto value = figures.at("loss.value").item<double>();
  EXPECT_NEAR(loss.item<double>(), value, 1e-6 * value);
  EXPECT_TRUE(batch.image.grad().allclose(figures.at("loss.image_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.text.grad().allclose(figures.at("loss.text_grad"), 1e-5, 1e-6));
  EXPECT_TRUE(batch.logit_scale.grad().allclose(figures.at("loss.scale_grad"), 1e-4, 1e-7));
}

TEST(InfoNCE, IsTheLogOfTheBatchWhenNothingIsTold) {
  const auto same = at::ones({8, 4}, at::kDouble) / 2.0;
  EXPECT_NEAR(InfoNCE().forward({same, same, scalar(100)}).item<double>(), std::log(8.0), 1e-12);
}

TEST(InfoNCE, IsNearlyNothingForAPerfectAlignment) {
  const auto perfect = at::eye(8, at::kDouble);
  const double expected = std::log1p(7 * std::exp(-100.0));
  EXPECT_NEAR(InfoNCE().forward({perfect, perfect, scalar(100)}).item<double>(), expected, 1e-12);
}

TEST(InfoNCE, StaysFiniteInFloat32AtTheLargestScale) {
  const auto x = l2_normalize(at::randn({16, 8})).requires_grad_();
  const auto loss = InfoNCE().forward({x, -x, scalar(100, at::kFloat)});
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<float>()));
  EXPECT_TRUE(x.grad().isfinite().all().item<bool>());
}

TEST(InfoNCE, ComputesLogitsInFloat32ForLowPrecisionEmbeddings) {
  const auto x = l2_normalize(at::randn({16, 8})).to(at::kBFloat16),
             y = l2_normalize(at::randn({16, 8})).to(at::kBFloat16);
  const auto loss = InfoNCE().forward({x, y, scalar(100, at::kFloat)});
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  EXPECT_NEAR(loss.item<double>(), by_hand(x.to(at::kDouble), y.to(at::kDouble), 100), 1e-4);
}

TEST(InfoNCE, SmoothsLabelsAsItsFormulaSays) {
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  const InfoNCE loss({.label_smoothing = 0.1});
  EXPECT_NEAR(loss.forward({image, text, scalar(14.3)}).item<double>(), by_hand(image, text, 14.3, {}, 0.1), 1e-12);
}

TEST(InfoNCE, SharesEachRowAmongItsGroup) {
  const std::vector<std::int64_t> groups{7, 2, 7, 7, 0, 2};
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  ContrastiveBatch batch{image, text, scalar(14.3)};
  batch.groups = ids(groups);
  EXPECT_NEAR(InfoNCE().forward(batch).item<double>(), by_hand(image, text, 14.3, matches(groups)), 1e-12);
  EXPECT_NEAR(InfoNCE({.label_smoothing = 0.2}).forward(batch).item<double>(),
              by_hand(image, text, 14.3, matches(groups), 0.2), 1e-12);
}

TEST(InfoNCE, TakesTheLogOfTheMeanOverPositivesIfAsked) {
  const std::vector<std::int64_t> groups{7, 2, 7, 7, 0, 2};
  const auto image = unit_rows(6, 4), text = unit_rows(6, 4);
  ContrastiveBatch batch{image, text, scalar(14.3)};
  batch.groups = ids(groups);
  const auto cosines = test::products(image, text);
  double sum = 0;
  for (const bool of_images : {true, false}) {
    for (std::size_t i = 0; i < 6; ++i) {
      double all = 0, positive = 0, count = 0;
      for (std::size_t j = 0; j < 6; ++j) {
        const auto exponential = std::exp(14.3 * (of_images ? cosines[i][j] : cosines[j][i]));
        all += exponential;
        if (groups[i] == groups[j]) positive += exponential, ++count;
      }
      sum -= std::log(positive / all / count);
    }
  }
  const InfoNCE loss({.positives = Positives::log_of_mean});
  EXPECT_NEAR(loss.forward(batch).item<double>(), sum / 12, 1e-12);
  batch.groups = at::Tensor();
  EXPECT_NEAR(loss.forward(batch).item<double>(), by_hand(image, text, 14.3), 1e-12);
}

TEST(InfoNCE, TakesSoftTargetsAlongRowsForImagesAndColumnsForTexts) {
  const auto image = unit_rows(4, 3), text = unit_rows(4, 3);
  ContrastiveBatch batch{image, text, scalar(5)};
  // Nothing is wanted of image 1 and of text 3.
  const test::Matrix q{{0.9, 0.1, 0, 0}, {0, 0, 0, 0}, {0.5, 0.2, 2.0, 0}, {0, 0.3, 0.3, 0}};
  const auto wanted = at::zeros({4, 4}, at::kDouble);
  for (std::int64_t i = 0; i < 4; ++i)
    for (std::int64_t j = 0; j < 4; ++j) wanted[i][j] = q[i][j];
  batch.soft_targets = wanted;
  EXPECT_NEAR(InfoNCE().forward(batch).item<double>(), by_hand(image, text, 5, q), 1e-12);
}

TEST(InfoNCE, NeverFallsBelowTheLogOfTheGroups) {
  // Groups of 3 that nothing else resembles: each positive takes a third of the softmax.
  const auto directions = at::eye(4, at::kDouble).repeat_interleave(3, 0);
  ContrastiveBatch batch{directions, directions, scalar(100)};
  batch.groups = at::arange(4, at::kLong).repeat_interleave(3);
  EXPECT_NEAR(InfoNCE().forward(batch).item<double>(), std::log(3.0), 1e-12);
}

TEST(InfoNCE, SharesOfABatchAverageToTheWhole) {
  ContrastiveBatch batch{unit_rows(6, 4), unit_rows(6, 4), scalar(14.3)};
  batch.groups = ids({0, 1, 0, 2, 3, 1});
  for (const auto& loss : {InfoNCE(), InfoNCE({.positives = Positives::log_of_mean})}) {
    batch.own = {};
    const auto whole = loss.forward(batch).item<double>();
    double sum = 0;
    for (const std::int64_t begin : {0, 2, 4}) {
      batch.own = tiles::RowRange{begin, 2};
      sum += loss.forward(batch).item<double>();
    }
    EXPECT_NEAR(sum / 3, whole, 1e-12);
  }
}

TEST(InfoNCE, NamesTargetsThatDoNotFit) {
  ContrastiveBatch batch{unit_rows(3, 4), unit_rows(3, 4), scalar(1)};
  const auto message = [&] { return test::message_of<Error>([&] { InfoNCE().forward(batch); }); };
  batch.groups = ids({0, 1});
  EXPECT_EQ(message(), "[InfoNCE] groups: expected int64 [3], got Long [2]");
  batch.groups = at::Tensor();
  batch.soft_targets = at::eye(3) - 0.5;
  EXPECT_EQ(message(), "[InfoNCE] soft_targets: expected no negative one, got -0.5");
  const auto with_entry = [](double entry) { return at::eye(3).fill_diagonal_(entry); };
  batch.soft_targets = with_entry(std::numeric_limits<double>::infinity());
  EXPECT_EQ(message(), "[InfoNCE] soft_targets: expected finite ones, got inf");
  batch.soft_targets = with_entry(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(message().find("[InfoNCE] soft_targets: expected finite ones, got"), std::string::npos) << message();
  batch.groups = ids({0, 1, 2});
  EXPECT_EQ(message(), "[InfoNCE] the batch has groups and soft targets; expected one of them");
}

TEST(InfoNCE, RefusesRowsThatAreNotOfUnitLength) {
  auto image = unit_rows(3, 4);
  image[1] *= 0.5;
  EXPECT_EQ(test::message_of<Error>([&] {
              InfoNCE().forward({image, unit_rows(3, 4), scalar(1)});
            }),
            "[InfoNCE] image: expected unit rows, but row 1 has length 0.5; l2_normalize() makes them");
}

TEST(InfoNCE, RefusesOptionsThatContradictEachOther) {
  EXPECT_EQ(test::message_of<Error>([] { InfoNCE({.label_smoothing = 1}); }),
            "[InfoNCE] label_smoothing: expected 0 to below 1, got 1");
  EXPECT_EQ(test::message_of<Error>([] { InfoNCE({.label_smoothing = 0.1, .positives = Positives::log_of_mean}); }),
            "[InfoNCE] label_smoothing: goes with Positives::mean_of_logs only");
}

TEST(InfoNCE, NamesTheShapeThatDoesNotFit) {
  const auto message = test::message_of<Error>([] {
    InfoNCE().forward({at::randn({4, 8}), at::randn({4, 6}), scalar(1)});
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
}  // namespace vlalign::info_nce_test
