#include "vlalign/eval/retrieval.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/eval/space.hpp"

namespace {

using vlalign::Embeddings;
using vlalign::RecallScores;
using vlalign::RetrievalRanks;
using vlalign::Rng;

/// Unit rows whose entries come from {-1, 0, 1}: many of their cosines tie exactly.
at::Tensor coarse_rows(std::int64_t n, std::int64_t d, Rng& rng) {
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.below(3) - 1);
  x.select(1, 0).fill_(1.0);  // no zero row
  return x / x.norm(2, 1, true);
}

at::Tensor fine_rows(std::int64_t n, std::int64_t d, Rng& rng) {
  auto x = at::zeros({n, d}, at::kFloat);
  for (std::int64_t i = 0; i < n * d; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

/// Each picture gets one to four captions, in no order.
Embeddings several_captions(std::int64_t n, Rng& rng) {
  Embeddings e;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t c = 0; c <= rng.below(4); ++c) e.image_of_text.push_back(i);
  }
  for (auto i = std::ssize(e.image_of_text) - 1; i > 0; --i) {
    std::swap(e.image_of_text[static_cast<std::size_t>(i)],
              e.image_of_text[static_cast<std::size_t>(rng.below(i + 1))]);
  }
  e.image = coarse_rows(n, 6, rng);
  e.text = coarse_rows(std::ssize(e.image_of_text), 6, rng);
  return e;
}

Embeddings one_caption_each(at::Tensor image, at::Tensor text) {
  Embeddings e;
  for (std::int64_t i = 0; i < image.size(0); ++i) e.image_of_text.push_back(i);
  e.image = std::move(image);
  e.text = std::move(text);
  return e;
}

double cosine(const Embeddings& e, std::int64_t image, std::int64_t text) {
  const auto d = e.image.size(1);
  const auto* x = e.image.const_data_ptr<float>() + image * d;
  const auto* y = e.text.const_data_ptr<float>() + text * d;
  double sum = 0.0;
  for (std::int64_t k = 0; k < d; ++k) sum += double{x[k]} * double{y[k]};
  return sum;
}

/// AP@10: each right candidate, best first, comes after the better right ones and the wrong ones that are no worse.
double precision_by_definition(std::vector<double> right, const std::vector<double>& wrong) {
  std::sort(right.rbegin(), right.rend());
  double sum = 0.0;
  for (std::size_t p = 1; p <= right.size(); ++p) {
    const auto before = std::count_if(wrong.begin(), wrong.end(), [&](double w) { return w > right[p - 1] - 1e-6; });
    const auto rank = static_cast<std::int64_t>(p) + before;
    if (rank <= 10) sum += static_cast<double>(p) / static_cast<double>(rank);
  }
  return sum / std::min(10.0, static_cast<double>(right.size()));
}

/// The definition, pair by pair: one more than the wrong candidates that are no worse than the best right one.
RetrievalRanks by_definition(const Embeddings& e) {
  const auto n = e.image.size(0);
  const auto m = e.text.size(0);
  const auto owner = [&](std::int64_t text) { return e.image_of_text[static_cast<std::size_t>(text)]; };
  const auto no_worse = [](double wrong, double right) { return wrong > right - 1e-6; };
  RetrievalRanks ranks;
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> right, wrong;
    for (std::int64_t j = 0; j < m; ++j) (owner(j) == i ? right : wrong).push_back(cosine(e, i, j));
    ranks.image_to_text_precision.push_back(precision_by_definition(right, wrong));
    const double best = *std::max_element(right.begin(), right.end());
    std::int64_t rank = 1;
    for (std::int64_t j = 0; j < m; ++j) rank += owner(j) != i && no_worse(cosine(e, i, j), best);
    ranks.image_to_text.push_back(rank);
  }
  for (std::int64_t j = 0; j < m; ++j) {
    std::int64_t rank = 1;
    for (std::int64_t i = 0; i < n; ++i) rank += owner(j) != i && no_worse(cosine(e, i, j), cosine(e, owner(j), j));
    ranks.text_to_image.push_back(rank);
  }
  return ranks;
}

void expect_same(const RetrievalRanks& a, const RetrievalRanks& b) {
  EXPECT_EQ(a.image_to_text, b.image_to_text);
  EXPECT_EQ(a.text_to_image, b.text_to_image);
  ASSERT_EQ(a.image_to_text_precision.size(), b.image_to_text_precision.size());
  for (std::size_t i = 0; i < a.image_to_text_precision.size(); ++i)
    EXPECT_NEAR(a.image_to_text_precision[i], b.image_to_text_precision[i], 1e-12) << i;
}

TEST(RetrievalRanks, EqualADoubleLoopWithTiesAndSeveralCaptions) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Rng rng({seed});
    const auto e = several_captions(60, rng);
    expect_same(vlalign::retrieval_ranks(e), by_definition(e));
  }
}

TEST(RetrievalRanks, EqualADoubleLoopOnEmbeddingsWithoutTies) {
  Rng rng({3});
  const auto e = one_caption_each(fine_rows(120, 32, rng), fine_rows(120, 32, rng));
  expect_same(vlalign::retrieval_ranks(e), by_definition(e));
}

TEST(RetrievalRanks, DoNotDependOnTheBlockSize) {
  Rng rng({4});
  const auto e = several_captions(50, rng);
  const auto whole = vlalign::retrieval_ranks(e, 1000);
  for (const std::int64_t block : {1, 7, 49, 64}) expect_same(vlalign::retrieval_ranks(e, block), whole);
}

TEST(Retrieval, OfAPerfectModelHasRecallOne) {
  const auto scores = vlalign::evaluate_retrieval(one_caption_each(at::eye(30, at::kFloat), at::eye(30, at::kFloat)));
  EXPECT_EQ(scores.pairs, 30);
  for (const auto& s : {scores.image_to_text, scores.text_to_image}) {
    EXPECT_EQ(s.recall_at_1, 1.0);
    EXPECT_EQ(s.recall_at_10, 1.0);
    EXPECT_EQ(s.map_at_10, 1.0);
    EXPECT_EQ(s.median_rank, 1.0);
  }
}

TEST(Retrieval, OfACollapsedModelIsNeverBetterThanChance) {
  Rng rng({5});
  const auto point = fine_rows(1, 512, rng);
  const auto scores = vlalign::evaluate_retrieval(one_caption_each(point.repeat({777, 1}), point.repeat({777, 1})));
  for (const auto& s : {scores.image_to_text, scores.text_to_image}) {
    EXPECT_EQ(s.recall_at_1, 0.0);
    EXPECT_EQ(s.recall_at_10, 0.0);
    EXPECT_EQ(s.map_at_10, 0.0);
    EXPECT_EQ(s.median_rank, 777.0);
  }
  EXPECT_NEAR(scores.uniformity, 0.0, 1e-5);
  EXPECT_EQ(scores.linear_cka, 0.0);
  EXPECT_NEAR(scores.image_effective_rank, 1.0, 1e-2);
}

TEST(Retrieval, OfRandomEmbeddingsIsAtChance) {
  Rng rng({6});
  const auto scores = vlalign::evaluate_retrieval(one_caption_each(fine_rows(2000, 16, rng), fine_rows(2000, 16, rng)));
  // the standard error of the median of 2000 uniform ranks is about 2000 / (2 sqrt(2000)) = 22
  EXPECT_NEAR(scores.image_to_text.median_rank, scores.image_to_text_chance.median_rank, 80.0);
  EXPECT_NEAR(scores.text_to_image.median_rank, scores.text_to_image_chance.median_rank, 80.0);
  // recall@10 = 0.005, standard error 0.0016
  EXPECT_NEAR(scores.image_to_text.recall_at_10, 0.005, 0.006);
}

TEST(Retrieval, CountsAnyOfAPicturesCaptionsAsAHit) {
  // Picture 0 has a good and a bad caption, picture 1 one that lies between them.
  Embeddings e;
  e.image = at::eye(2, at::kFloat);
  e.text = at::tensor({1.0, 0.0, -1.0, 0.0, 0.6, 0.8}, at::kFloat).view({3, 2});
  e.image_of_text = {0, 0, 1};
  const auto ranks = vlalign::retrieval_ranks(e);
  EXPECT_EQ(ranks.image_to_text, (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(ranks.text_to_image, (std::vector<std::int64_t>{1, 2, 1}));  // (-1, 0) lies nearer to picture 1
}

TEST(Retrieval, OfACollapsedModelWithManyCaptionsHasNoBetterPrecisionThanChance) {
  Embeddings e;
  e.image = at::eye(1, 4, at::kFloat).repeat({3, 1});
  e.text = at::eye(1, 4, at::kFloat).repeat({21, 1});
  for (std::int64_t j = 0; j < 21; ++j) e.image_of_text.push_back(j / 7);
  const auto scores = vlalign::evaluate_retrieval(e);
  // chance: (1 / 7) sum_{r <= 10} (1 / 3) (1 + (r - 1) 6 / 20) / r
  EXPECT_GT(scores.image_to_text_chance.map_at_10, 0.2);
  EXPECT_EQ(scores.image_to_text.map_at_10, 0.0);  // all 14 wrong captions come first
  // by chance 1/3 (1 + 1/2 + 1/3); all three pictures tie, so that each is ranked third
  EXPECT_NEAR(scores.text_to_image_chance.map_at_10, 11.0 / 18.0, 1e-12);
  EXPECT_NEAR(scores.text_to_image.map_at_10, 1.0 / 3.0, 1e-12);
}

/// A picture (1, 0) with captions at these cosines, and a second picture, opposite, with the others.
Embeddings with_cosines(const std::vector<double>& right, const std::vector<double>& wrong) {
  Embeddings e;
  std::vector<double> text;
  for (const auto* group : {&right, &wrong}) {
    for (const auto c : *group) {
      text.insert(text.end(), {c, std::sqrt(1.0 - c * c)});
      e.image_of_text.push_back(group == &right ? 0 : 1);
    }
  }
  e.image = at::tensor({1.0, 0.0, -1.0, 0.0}, at::kFloat).view({2, 2});
  e.text = at::tensor(text, at::kFloat).view({-1, 2});
  return e;
}

TEST(AveragePrecision, OfRightCaptionsAtPlacesOneThreeAndFourIsWorkedByHand) {
  const auto ranks = vlalign::retrieval_ranks(with_cosines({0.5, 0.9, 0.6}, {0.7, 0.1}));
  EXPECT_NEAR(ranks.image_to_text_precision[0], (1.0 + 2.0 / 3.0 + 3.0 / 4.0) / 3.0, 1e-12);
}

TEST(AveragePrecision, PutsAWrongCaptionThatTiesFirst) {
  const auto ranks = vlalign::retrieval_ranks(with_cosines({0.9, 0.6}, {0.6, 0.1}));
  EXPECT_NEAR(ranks.image_to_text_precision[0], (1.0 + 2.0 / 3.0) / 2.0, 1e-12);
}

TEST(AveragePrecision, AsksForNoMoreThanTenRightCaptions) {
  const std::vector<double> twelve{.99, .98, .97, .96, .95, .94, .93, .92, .91, .9, .89, .88};
  EXPECT_NEAR(vlalign::retrieval_ranks(with_cosines(twelve, {0.5})).image_to_text_precision[0], 1.0, 1e-12);
  // one wrong caption in front: places 2 to 10 hold nine right ones, (1/2 + 2/3 + ... + 9/10) / 10
  double expected = 0.0;
  for (int hits = 1; hits <= 9; ++hits) expected += 0.1 * hits / (hits + 1.0);
  EXPECT_NEAR(vlalign::retrieval_ranks(with_cosines(twelve, {0.995})).image_to_text_precision[0], expected, 1e-12);
}

TEST(AveragePrecision, IsNothingBeyondTheTenthPlace) {
  const std::vector<double> wrong{.99, .98, .97, .96, .95, .94, .93, .92, .91};
  EXPECT_NEAR(vlalign::retrieval_ranks(with_cosines({0.5, 0.4}, wrong)).image_to_text_precision[0], 0.05, 1e-12);
}

TEST(Retrieval, MissesAtOneWhenTwoPicturesShareACaption) {
  Embeddings e;
  e.image = at::tensor({1.0, 0.0, 0.8, 0.6}, at::kFloat).view({2, 2});
  e.text = at::tensor({1.0, 0.0, 1.0, 0.0}, at::kFloat).view({2, 2});
  e.image_of_text = {0, 1};
  EXPECT_EQ(vlalign::retrieval_ranks(e).image_to_text, (std::vector<std::int64_t>{2, 2}));
}

TEST(RecallScores, AreSharesOfQueriesAndTheMiddleRank) {
  const std::vector<std::int64_t> even{1, 3, 6, 20};
  const auto scores = vlalign::recall_scores(even);
  EXPECT_EQ(scores.recall_at_1, 0.25);
  EXPECT_EQ(scores.recall_at_5, 0.5);
  EXPECT_EQ(scores.recall_at_10, 0.75);
  EXPECT_EQ(scores.median_rank, 4.5);
  EXPECT_NEAR(scores.map_at_10, (1.0 + 1.0 / 3.0 + 1.0 / 6.0) / 4.0, 1e-12);  // one right candidate each
  const std::vector<std::int64_t> odd{9, 2, 4};
  EXPECT_EQ(vlalign::recall_scores(odd).median_rank, 4.0);
  EXPECT_EQ(vlalign::recall_scores(odd, std::vector<double>{0.5, 1.0, 0.0}).map_at_10, 0.5);
  EXPECT_THROW(vlalign::recall_scores(odd, std::vector<double>{0.5}), vlalign::Error);
}

TEST(Chance, WithOneRightCandidateIsKOverN) {
  const std::vector<std::int64_t> positives(7, 1);
  for (const std::int64_t n : {11, 142, 363}) {
    const auto chance = vlalign::chance_scores(positives, n);
    EXPECT_NEAR(chance.recall_at_1, 1.0 / static_cast<double>(n), 1e-12);
    EXPECT_NEAR(chance.recall_at_5, 5.0 / static_cast<double>(n), 1e-12);
    EXPECT_NEAR(chance.recall_at_10, 10.0 / static_cast<double>(n), 1e-12);
    EXPECT_NEAR(chance.map_at_10, 7381.0 / 2520.0 / static_cast<double>(n), 1e-12);  // 1 + 1/2 + ... + 1/10
    EXPECT_EQ(chance.median_rank, 0.5 * static_cast<double>(n + 1));
  }
}

TEST(Chance, WithTwoRightAmongFourIsWorkedByHand) {
  // P(rank 1) = 1/2, P(rank 2) = 1/2 * 2/3 = 1/3, P(rank 3) = 1/6: the median lies between ranks 1 and 2
  const auto chance = vlalign::chance_scores(std::vector<std::int64_t>{2, 2, 2}, 4);
  EXPECT_NEAR(chance.recall_at_1, 0.5, 1e-12);
  EXPECT_EQ(chance.recall_at_5, 1.0);
  EXPECT_EQ(chance.median_rank, 1.5);
  // their places: 12, 13, 14, 23, 24, 34
  EXPECT_NEAR(chance.map_at_10, (1.0 + 5.0 / 6 + 3.0 / 4 + 7.0 / 12 + 1.0 / 2 + 5.0 / 12) / 6.0, 1e-12);
}

TEST(Chance, EqualsASimulationForMixedNumbersOfCaptions) {
  const std::vector<std::int64_t> positives{1, 1, 2, 5};
  const std::int64_t candidates = 37;
  Rng rng({7});
  std::vector<std::int64_t> ranks;
  std::vector<double> precisions;
  for (int trial = 0; trial < 40000; ++trial) {
    const auto p = positives[static_cast<std::size_t>(trial) % positives.size()];
    std::vector<int> right(static_cast<std::size_t>(candidates), 0);
    for (std::int64_t placed = 0; placed < p;) {
      auto& place = right[static_cast<std::size_t>(rng.below(candidates))];
      placed += place == 0;
      place = 1;
    }
    ranks.push_back(1 + (std::find(right.begin(), right.end(), 1) - right.begin()));
    double precision = 0.0;
    for (int rank = 1, hits = 0; rank <= 10; ++rank) {
      if (right[static_cast<std::size_t>(rank) - 1] == 1) precision += ++hits / static_cast<double>(rank);
    }
    precisions.push_back(precision / static_cast<double>(p));
  }
  const auto simulated = vlalign::recall_scores(ranks, precisions);
  const auto chance = vlalign::chance_scores(positives, candidates);
  EXPECT_NEAR(chance.recall_at_1, simulated.recall_at_1, 0.01);
  EXPECT_NEAR(chance.recall_at_5, simulated.recall_at_5, 0.01);
  EXPECT_NEAR(chance.recall_at_10, simulated.recall_at_10, 0.01);
  EXPECT_NEAR(chance.map_at_10, simulated.map_at_10, 0.005);
  EXPECT_NEAR(chance.median_rank, simulated.median_rank, 1.0);
}

TEST(RetrievalScores, MeasureTheSpaceOfThePairs) {
  Rng rng({9});
  auto e = several_captions(30, rng);
  e.image = fine_rows(30, 6, rng);
  e.text = fine_rows(e.text.size(0), 6, rng);
  const auto scores = vlalign::evaluate_retrieval(e);
  const auto pictures = e.image.index_select(0, at::tensor(e.image_of_text, at::kLong));
  EXPECT_NEAR(scores.linear_cka, vlalign::linear_cka(pictures, e.text), 1e-12);
  EXPECT_EQ(scores.image_effective_rank, vlalign::effective_rank(e.image));
  EXPECT_EQ(scores.text_effective_rank, vlalign::effective_rank(e.text));
  const auto captions = vlalign::hubness(vlalign::k_occurrences(e.image, e.text));
  EXPECT_EQ(scores.image_to_text_hubness.skewness, captions.skewness);
  EXPECT_EQ(scores.image_to_text_hubness.antihubs, captions.antihubs);
  const auto hubs = vlalign::hubness(vlalign::k_occurrences(e.text, e.image));
  EXPECT_EQ(scores.text_to_image_hubness.skewness, hubs.skewness);
  EXPECT_EQ(scores.text_to_image_hubness.largest, hubs.largest);
  EXPECT_FALSE(scores.temperature.has_value());
}

TEST(RetrievalScores, DrawThePicturesForTheirIntervals) {
  Rng rng({10});
  const auto e = several_captions(60, rng);
  const auto scores = vlalign::evaluate_retrieval(e);
  const auto ranks = by_definition(e);
  std::vector<double> image_hits, text_hits;
  for (const auto rank : ranks.image_to_text) image_hits.push_back(rank <= 5 ? 1.0 : 0.0);
  for (const auto rank : ranks.text_to_image) text_hits.push_back(rank <= 5 ? 1.0 : 0.0);
  const auto image = vlalign::bootstrap_interval(image_hits);
  const auto text = vlalign::bootstrap_interval(text_hits, e.image_of_text);
  EXPECT_EQ(scores.image_to_text_interval95.recall_at_5.low, image.low);
  EXPECT_EQ(scores.image_to_text_interval95.recall_at_5.high, image.high);
  EXPECT_EQ(scores.text_to_image_interval95.recall_at_5.low, text.low);
  EXPECT_EQ(scores.text_to_image_interval95.recall_at_5.high, text.high);
  EXPECT_LT(scores.text_to_image_interval95.map_at_10.low, scores.text_to_image.map_at_10);
  EXPECT_GT(scores.text_to_image_interval95.map_at_10.high, scores.text_to_image.map_at_10);
}

TEST(Retrieval, RanksHalfPrecisionAsItsValuesInFloat32) {
  Rng rng({11});
  auto e = several_captions(40, rng);
  e.image = e.image.to(at::kBFloat16);
  e.text = e.text.to(at::kBFloat16);
  const auto half = vlalign::retrieval_ranks(e);
  e.image = e.image.to(at::kFloat);
  e.text = e.text.to(at::kFloat);
  expect_same(half, vlalign::retrieval_ranks(e));
}

TEST(RetrievalScores, BecomeJsonUnderTheNamesOfTheInterface) {
  Rng rng({8});
  auto e = several_captions(40, rng);
  e.bad = {"lost.png: no such file"};
  auto scores = vlalign::evaluate_retrieval(e);
  EXPECT_FALSE(nlohmann::json::parse(vlalign::to_json(scores)).contains("temperature"));
  scores.temperature = 0.07;
  const auto json = nlohmann::json::parse(vlalign::to_json(scores));
  EXPECT_EQ(json.at("pairs"), 40);
  EXPECT_EQ(json.at("captions"), e.text.size(0));
  EXPECT_EQ(json.at("skipped"), 1);
  EXPECT_EQ(json.at("image_to_text").at("recall@1"), scores.image_to_text.recall_at_1);
  EXPECT_EQ(json.at("image_to_text").at("recall@5"), scores.image_to_text.recall_at_5);
  EXPECT_EQ(json.at("text_to_image").at("recall@10"), scores.text_to_image.recall_at_10);
  EXPECT_EQ(json.at("text_to_image").at("median_rank"), scores.text_to_image.median_rank);
  EXPECT_EQ(json.at("alignment"), scores.alignment);
  EXPECT_EQ(json.at("uniformity"), scores.uniformity);
  EXPECT_EQ(json.at("modality_gap"), scores.modality_gap);
  EXPECT_EQ(json.at("chance").at("image_to_text").at("recall@1"), scores.image_to_text_chance.recall_at_1);
  EXPECT_EQ(json.at("image_to_text").at("map@10"), scores.image_to_text.map_at_10);
  EXPECT_EQ(json.at("linear_cka"), scores.linear_cka);
  EXPECT_EQ(json.at("effective_rank").at("image"), scores.image_effective_rank);
  EXPECT_EQ(json.at("effective_rank").at("text"), scores.text_effective_rank);
  EXPECT_EQ(json.at("hubness").at("image_to_text").at("skewness"), scores.image_to_text_hubness.skewness);
  EXPECT_EQ(json.at("hubness").at("image_to_text").at("antihubs"), scores.image_to_text_hubness.antihubs);
  EXPECT_EQ(json.at("hubness").at("text_to_image").at("largest"), scores.text_to_image_hubness.largest);
  EXPECT_EQ(json.at("temperature"), 0.07);
  const auto& interval = scores.text_to_image_interval95.map_at_10;
  EXPECT_EQ(json.at("interval95").at("text_to_image").at("map@10"), (nlohmann::json{interval.low, interval.high}));
}

std::string complaint(const Embeddings& e) {
  try {
    vlalign::evaluate_retrieval(e);
  } catch (const vlalign::Error& error) {
    return error.what();
  }
  return "";
}

TEST(Retrieval, SaysWhichFieldIsWrong) {
  const auto eye = at::eye(3, at::kFloat);
  auto e = one_caption_each(eye, eye);
  e.image_of_text = {0, 1};
  EXPECT_EQ(complaint(e), "[retrieval_ranks] image_of_text: expected 3 entries, one a caption, got 2");
  e.image_of_text = {0, 1, 1};
  EXPECT_EQ(complaint(e), "[retrieval_ranks] image_of_text: picture 2 has no caption");
  e.image_of_text = {0, 1, 3};
  EXPECT_EQ(complaint(e), "[retrieval_ranks] image_of_text: expected rows 0 to 2, got 3");
  EXPECT_EQ(complaint(one_caption_each(eye, at::eye(3, 4, at::kFloat))),
            "[retrieval_ranks] text: expected [M, 3] as image, got [3, 4]");
  auto text = eye.clone();
  text[1][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(complaint(one_caption_each(eye, text)), "[retrieval_ranks] text: row 1 is not finite");
  EXPECT_THROW(vlalign::retrieval_ranks(one_caption_each(eye, eye), 0), vlalign::Error);
  EXPECT_EQ(complaint(Embeddings{}), "[retrieval_ranks] image: expected floating [N, D], got none");
}

}  // namespace
