#include "vlalign/eval/zero_shot.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

at::Tensor random_unit_rows(std::int64_t n, std::int64_t d, vlalign::Rng& rng) {
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

TEST(ZeroShot, PutsTheClassNameIntoEveryTemplate) {
  const std::vector<std::string> templates{"a photo of a {}.", "{}, not {{}}"};
  EXPECT_EQ(vlalign::class_prompts("red {} cat", templates),
            (std::vector<std::string>{"a photo of a red {} cat.", "red {} cat, not {red {} cat}"}));
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>(
                [] { vlalign::class_prompts("cat", std::vector<std::string>{"a photo"}); }),
            "template \"a photo\": expected {} where the class name goes");
}

TEST(ZeroShot, AveragesThePromptsOfAClassAndNormalisesAgain) {
  // class 0: (1, 0) and (0, 1) give (1, 1) / sqrt 2; class 1: (0.6, 0.8) and (0.6, -0.8) give (1, 0)
  const auto prompts = at::tensor({1.0, 0.0, 0.0, 1.0, 0.6, 0.8, 0.6, -0.8}, at::kFloat).view({4, 2});
  const auto classes = vlalign::average_prompts(prompts, 2);
  const auto expected = at::tensor({0.70710678, 0.70710678, 1.0, 0.0}, at::kFloat).view({2, 2});
  EXPECT_LT((classes - expected).abs().max().item<float>(), 1e-6);
  EXPECT_THROW(vlalign::average_prompts(prompts, 3), vlalign::Error);
}

TEST(ZeroShot, ScoresEqualADoubleLoop) {
  vlalign::Rng rng({1});
  const std::int64_t n = 300, c = 12, d = 8;
  const auto image = random_unit_rows(n, d, rng);
  const auto classes = random_unit_rows(c, d, rng);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < n; ++i) labels.push_back(rng.below(c - 1));  // the last class has no picture
  const auto* x = image.const_data_ptr<float>();
  const auto* w = classes.const_data_ptr<float>();
  std::vector<double> hits(static_cast<std::size_t>(c)), pictures(static_cast<std::size_t>(c));
  const double logit_scale = 5.0;
  double top1 = 0, top5 = 0, surprise = 0;
  std::vector<double> bin_hits(15), bin_confidence(15);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto label = static_cast<std::size_t>(labels[static_cast<std::size_t>(i)]);
    std::vector<double> scores;
    for (std::int64_t j = 0; j < c; ++j) {
      double score = 0;
      for (std::int64_t k = 0; k < d; ++k) score += double{x[i * d + k]} * double{w[j * d + k]};
      scores.push_back(score);
    }
    std::int64_t better = 0;
    for (const auto score : scores) better += score > scores[label];
    top1 += better < 1;
    top5 += better < 5;
    hits[label] += better < 1;
    pictures[label] += 1;
    double total = 0, largest = 0;
    for (const auto score : scores) {
      total += std::exp(logit_scale * score);
      largest = std::max(largest, std::exp(logit_scale * score));
    }
    surprise += std::log(total) - logit_scale * scores[label];
    const auto bin = static_cast<std::size_t>(15 * largest / total);
    bin_confidence[bin] += largest / total;
    bin_hits[bin] += better < 1;
  }
  double per_class = 0;
  for (std::size_t j = 0; j + 1 < hits.size(); ++j) per_class += hits[j] / pictures[j] / static_cast<double>(c - 1);

  double calibration = 0;
  for (std::size_t bin = 0; bin < 15; ++bin) calibration += std::abs(bin_hits[bin] - bin_confidence[bin]) / n;

  const auto scores = vlalign::score_classes(image, classes, labels, logit_scale);
  EXPECT_EQ(scores.images, n);
  EXPECT_NEAR(scores.negative_log_likelihood, surprise / n, 1e-6);
  EXPECT_NEAR(scores.calibration_error, calibration, 1e-6);
  EXPECT_GT(scores.calibration_error, 0.05);  // random classes don't keep their word
  EXPECT_LT(scores.top1_interval95.low, scores.top1);
  EXPECT_GT(scores.top1_interval95.high, scores.top1);
  EXPECT_NEAR(scores.top1, top1 / n, 1e-12);
  EXPECT_NEAR(scores.top5, top5 / n, 1e-12);
  EXPECT_NEAR(scores.mean_per_class, per_class, 1e-12);
}

TEST(ZeroShot, OfFewerThanFiveClassesAlwaysHitsInTheTopFive) {
  const auto eye = at::eye(3, at::kFloat);
  const auto scores = vlalign::score_classes(eye, eye, std::vector<std::int64_t>{0, 1, 0}, 1.0);
  EXPECT_NEAR(scores.top1, 2.0 / 3.0, 1e-12);
  EXPECT_EQ(scores.top5, 1.0);
}

TEST(ZeroShot, CountsTiesAgainstTheModel) {
  const auto same = at::eye(1, 4, at::kFloat).repeat({8, 1});
  const auto scores = vlalign::score_classes(same, same, std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7}, 100.0);
  EXPECT_EQ(scores.top1, 0.0);
  EXPECT_EQ(scores.top5, 0.0);
  EXPECT_NEAR(scores.negative_log_likelihood, std::log(8.0), 1e-4);
  EXPECT_NEAR(scores.calibration_error, 1.0 / 8.0, 1e-4);  // it claims one in eight and gets none
}

TEST(ZeroShot, SaysWhichArgumentIsWrong) {
  const auto eye = at::eye(3, at::kFloat);
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              vlalign::score_classes(eye, eye, std::vector<std::int64_t>{0, 1, 3}, 1.0);
            }),
            "[score_classes] labels: expected 0 to 2, got 3");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              vlalign::score_classes(eye, eye, std::vector<std::int64_t>{0, 1}, 1.0);
            }),
            "[score_classes] labels: expected 3, got 2");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              vlalign::score_classes(eye, at::eye(3, 2, at::kFloat), std::vector<std::int64_t>{0, 1, 2}, 1.0);
            }),
            "[score_classes] classes: expected 3 columns as image, got 2");
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([&] {
              vlalign::score_classes(eye, eye, std::vector<std::int64_t>{0, 1, 2}, 0.0);
            }),
            "[score_classes] logit_scale: expected more than 0, got 0");
}

TEST(ZeroShot, BecomesJsonUnderTheNamesOfTheInterface) {
  const auto json = nlohmann::json::parse(vlalign::to_json(vlalign::ZeroShotScores{.images = 8,
                                                                                   .skipped = 1,
                                                                                   .top1 = 0.25,
                                                                                   .top5 = 0.5,
                                                                                   .mean_per_class = 0.125,
                                                                                   .calibration_error = 0.0625,
                                                                                   .negative_log_likelihood = 1.5,
                                                                                   .top1_interval95 = {0.125, 0.375}}));
  EXPECT_EQ(json, (nlohmann::json{{"images", 8},
                                  {"skipped", 1},
                                  {"top1", 0.25},
                                  {"top5", 0.5},
                                  {"mean_per_class", 0.125},
                                  {"calibration_error", 0.0625},
                                  {"negative_log_likelihood", 1.5},
                                  {"interval95", {{"top1", {0.125, 0.375}}}}}));
}

TEST(ZeroShot, RanksTheSameAtAnyLogitScaleButNotItsProbabilities) {
  const auto eye = at::eye(3, at::kFloat);
  const std::vector<std::int64_t> labels{0, 1, 2};
  const auto cool = vlalign::score_classes(eye, eye, labels, 100.0);
  const auto warm = vlalign::score_classes(eye, eye, labels, 1.0);
  EXPECT_EQ(warm.top1, cool.top1);
  EXPECT_NEAR(cool.calibration_error, 0.0, 1e-12);
  const double confidence = std::exp(1.0) / (std::exp(1.0) + 2.0);
  EXPECT_NEAR(warm.calibration_error, 1.0 - confidence, 1e-6);
  EXPECT_NEAR(warm.negative_log_likelihood, -std::log(confidence), 1e-6);
}

}  // namespace
