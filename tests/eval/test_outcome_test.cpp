#include "vlalign/eval/test_outcome.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "../support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign::test_outcome_test {
namespace {

at::Tensor unit_rows(std::int64_t n, std::uint64_t seed) {
  Rng rng({seed});
  auto x = at::zeros({n, 6}, at::kFloat);
  for (std::int64_t i = 0; i < n * 6; ++i) x.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-1.0, 1.0));
  return x / x.norm(2, 1, true);
}

/// A test of 80 pictures with two captions each that a model knows more or less of.
Embeddings embeddings(double noise, std::uint64_t seed) {
  Embeddings e;
  for (std::int64_t i = 0; i < 80; ++i) {
    e.records.push_back(2 * i);
    e.names.push_back("picture");
    for (int c = 0; c < 2; ++c) {
      e.captions.push_back("caption " + std::to_string(2 * i + c));
      e.image_of_text.push_back(i);
    }
  }
  const auto meaning = unit_rows(80, 1);
  const auto image = meaning + noise * unit_rows(80, seed);
  e.image = image / image.norm(2, 1, true);
  const auto text = meaning.index_select(0, at::tensor(e.image_of_text, at::kLong)) + noise * unit_rows(160, seed + 1);
  e.text = text / text.norm(2, 1, true);
  return e;
}

struct Evaluated {
  Embeddings embeddings;
  RetrievalScores scores;
  TestOutcome outcome;
};

Evaluated evaluated(double noise, std::uint64_t seed) {
  Evaluated e{embeddings(noise, seed), {}, {}};
  e.scores = evaluate_retrieval(e.embeddings);
  e.outcome = outcome_of("unseen", e.scores, e.embeddings);
  return e;
}

TEST(TestOutcome, HoldsTheRankOfEachQuery) {
  const auto e = evaluated(0.8, 5);
  const auto ranks = retrieval_ranks(e.embeddings);
  EXPECT_EQ(e.outcome.ranks.image_to_text, ranks.image_to_text);
  EXPECT_EQ(e.outcome.ranks.text_to_image, ranks.text_to_image);
  EXPECT_EQ(e.outcome.ranks.image_to_text_precision, ranks.image_to_text_precision);
  EXPECT_EQ(e.outcome.records, e.embeddings.records);
}

TEST(TestOutcome, DiffersByWhatTheFiguresDiffer) {
  const auto ours = evaluated(0.7, 5), theirs = evaluated(1.0, 8);
  const auto differences = compare_outcomes(ours.outcome, theirs.outcome);
  EXPECT_EQ(differences.size(), 8U);
  const auto own = nlohmann::json::parse(to_json(ours.scores)), other = nlohmann::json::parse(to_json(theirs.scores));
  for (const auto& [key, found] : differences) {
    const auto dot = key.find('.');
    const auto way = key.substr(0, dot), figure = key.substr(dot + 1);
    EXPECT_NEAR(found.difference, own[way][figure].get<double>() - other[way][figure].get<double>(), 1e-12) << key;
    EXPECT_LE(found.interval.low, found.difference);
    EXPECT_GE(found.interval.high, found.difference);
  }
  EXPECT_LT(differences.at("text_to_image.recall@1").p_value, 0.01);
}

TEST(TestOutcome, DrawsThePicturesWithAllTheirCaptions) {
  const auto ours = evaluated(0.7, 5), theirs = evaluated(1.0, 8);
  std::vector<double> own, other;
  for (const auto rank : ours.outcome.ranks.text_to_image) own.push_back(rank <= 5);
  for (const auto rank : theirs.outcome.ranks.text_to_image) other.push_back(rank <= 5);
  const auto expected = paired_bootstrap(own, other, ours.embeddings.image_of_text, {.seed = 3});
  const auto found = compare_outcomes(ours.outcome, theirs.outcome, {.seed = 3}).at("text_to_image.recall@5");
  EXPECT_EQ(found.interval.low, expected.interval.low);
  EXPECT_EQ(found.interval.high, expected.interval.high);
  EXPECT_EQ(found.p_value, expected.p_value);
}

TEST(TestOutcome, IsOfTheSameTestWhereverThePicturesLie) {
  auto moved = embeddings(0.8, 5);
  for (auto& name : moved.names) name = "/elsewhere/" + name;
  EXPECT_EQ(outcome_of("u", evaluate_retrieval(moved), moved).test, evaluated(0.8, 5).outcome.test);
}

TEST(TestOutcome, OfAnotherTestIsRefused) {
  const auto ours = evaluated(0.8, 5);
  auto other = embeddings(0.8, 5);
  other.captions[3] += "!";
  const auto scores = evaluate_retrieval(other);
  const auto theirs = outcome_of("seen", scores, other);
  EXPECT_NE(theirs.test, ours.outcome.test);
  EXPECT_EQ(test::message_of<Error>([&] { compare_outcomes(ours.outcome, theirs); }),
            "[compare_outcomes] \"unseen\" and \"seen\" are different tests");
  other.captions.pop_back();
  EXPECT_EQ(test::message_of<Error>([&] { outcome_of("seen", scores, other); }),
            "[outcome_of] test \"seen\": expected the ranks of 80 pictures and 159 captions, got 80 and 160");
}

ZeroShotScores zero_shot(std::vector<std::int64_t> labels) {
  const auto images = unit_rows(std::ssize(labels), 3), classes = unit_rows(4, 4);
  auto scores = score_classes(images, classes, labels, 10.0);
  for (std::int64_t i = 0; i < std::ssize(labels); ++i) scores.records.push_back(i);
  return scores;
}

TEST(TestOutcome, OfClassesDiffersByTheirAccuracies) {
  const std::vector<std::string> classes{"a", "b", "c", "d"};
  const std::vector<std::int64_t> labels{0, 1, 2, 3, 0, 1, 2, 3, 1, 1};
  auto ours = zero_shot(labels), theirs = ours;
  EXPECT_EQ(std::count(ours.ranks.begin(), ours.ranks.end(), 1), std::lround(10 * ours.top1));
  ours.ranks.assign(10, 1);
  theirs.ranks = {1, 2, 6, 1, 1, 1, 7, 1, 1, 1};
  const auto found = compare_outcomes(outcome_of("classes", ours, classes), outcome_of("classes", theirs, classes));
  EXPECT_EQ(found.size(), 2U);
  EXPECT_NEAR(found.at("top1").difference, 0.3, 1e-12);
  EXPECT_NEAR(found.at("top5").difference, 0.2, 1e-12);
  const std::vector<std::string> others{"a", "b", "c", "e"};
  EXPECT_NE(outcome_of("classes", ours, classes).test, outcome_of("classes", ours, others).test);
  ours.records.clear();
  EXPECT_THROW(outcome_of("classes", ours, classes), Error);
}

TEST(TestOutcome, ComesBackFromItsFile) {
  const test::TempFolder folder;
  const auto file = folder.path() / "eval.safetensors";
  const std::vector<std::string> classes{"a", "b", "c", "d"};
  const std::vector<TestOutcome> outcomes{evaluated(0.8, 5).outcome,
                                          outcome_of("\xff 0.name", zero_shot({0, 3, 1}), classes)};
  write_outcomes(file, outcomes);
  const auto read = read_outcomes(file);
  ASSERT_EQ(read.size(), 2U);
  EXPECT_EQ(read[0].name, "unseen");
  EXPECT_EQ(read[1].name, "\uFFFD 0.name");
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read[i].test, outcomes[i].test);
    EXPECT_EQ(read[i].records, outcomes[i].records);
    EXPECT_EQ(read[i].image_of_text, outcomes[i].image_of_text);
    EXPECT_EQ(read[i].class_ranks, outcomes[i].class_ranks);
    EXPECT_EQ(read[i].ranks.image_to_text, outcomes[i].ranks.image_to_text);
    EXPECT_EQ(read[i].ranks.text_to_image, outcomes[i].ranks.text_to_image);
    EXPECT_EQ(read[i].ranks.image_to_text_precision, outcomes[i].ranks.image_to_text_precision);
  }
  write_outcomes(file, {});
  EXPECT_TRUE(read_outcomes(file).empty());
}

TEST(TestOutcome, NamesWhatIsWrongInItsFile) {
  const test::TempFolder folder;
  const auto file = folder.path() / "eval.safetensors";
  const std::vector<TestOutcome> outcomes{evaluated(0.8, 5).outcome};
  const auto complaint = [&](const std::string& name, const at::Tensor& tensor) {
    write_outcomes(file, outcomes);
    auto in = read_safetensors(file);
    if (tensor.defined()) {
      in.tensors[name] = tensor;
    } else {
      in.tensors.erase(name);
    }
    const auto changed = folder.path() / "changed.safetensors";
    write_safetensors(changed, in.tensors, in.metadata);
    const auto message = test::message_of<Error>([&] { read_outcomes(changed); });
    return message.substr(changed.string().size());
  };
  EXPECT_EQ(complaint("0.records", {}), ": 0.records is missing");
  EXPECT_EQ(complaint("0.image_to_text", at::zeros({80}, at::kLong)), ": 0.image_to_text: expected ranks from 1");
  EXPECT_EQ(complaint("0.text_to_image", at::zeros({3}, at::kLong)), ": 0.text_to_image: expected 160 ranks, got 3");
  EXPECT_EQ(complaint("0.image_of_text", at::zeros({160}, at::kLong) + 80),
            ": 0.image_of_text: expected rows of 80 pictures");
  EXPECT_EQ(complaint("0.records", at::zeros({80}, at::kFloat)), ": 0.records is of another shape or type");
  EXPECT_EQ(complaint("0.image_to_text_precision", at::zeros({80}, at::kDouble) - 1),
            ": 0.image_to_text_precision: expected 80 values from 0 to 1");
}

}  // namespace
}  // namespace vlalign::test_outcome_test
