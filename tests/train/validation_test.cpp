// A run that is validated while it trains.
#include "vlalign/train/validation.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/logsumexp.h>
#include <gtest/gtest.h>

#include <fstream>

#include "eval/figures_json.hpp"
#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "train/run_validation.hpp"
#include "train/validation_lines.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/loss/simclr.hpp"

namespace vlalign::validation_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::message_of;
using test::TempFolder;

/// Gives these figures one after the other.
Validation scripted(std::string name, std::vector<double> figures) {
  const auto calls = std::make_shared<std::size_t>(0);
  return {.name = std::move(name), .measure = [=](const DualEncoder&, const EmbedOptions&) {
            return Figures{{"figure", figures.at((*calls)++)}};
          }};
}

/// The symmetric InfoNCE of all pairs as one batch, in double precision.
double info_nce_of(const DualEncoder& model, const Embeddings& e) {
  const auto logits = model.logit_scale().to(at::kDouble) * e.image.to(at::kDouble).matmul(e.text.to(at::kDouble).t());
  const auto right = logits.diagonal();
  return ((logits.logsumexp({1}) - right).mean() + (logits.logsumexp({0}) - right).mean()).item<double>() / 2;
}

class ValidatedRun : public test::Colours {
 protected:
  void SetUp() override {
    Colours::SetUp();
    how_ = options(8);
    how_.out = runs_.path() / "run";
  }

  std::vector<json> lines() const {
    std::vector<json> all;
    std::ifstream file(how_.out / "validation.jsonl");
    for (std::string line; std::getline(file, line);) all.push_back(json::parse(line));
    return all;
  }

  std::string best() const { return read_file(how_.out / "checkpoints" / "best"); }

  TempFolder runs_;
  TrainerOptions how_;
};

TEST_F(ValidatedRun, MeasuresTheWholeSetWhateverTheBatchSize) {
  const auto trained = model();
  train(trained, options(20));
  const auto expected = info_nce_of(trained, embed_pairs(trained, pairs_));
  const auto validation = validate_retrieval("all", pairs_, InfoNCE());
  for (const std::int64_t batch_size : {1, 7, 64}) {
    const auto figures = validation.measure(trained, {.batch_size = batch_size});
    EXPECT_NEAR(figures.at("loss"), expected, 1e-6 * expected) << batch_size;
    EXPECT_EQ(figures.at("pairs"), 8);
    EXPECT_EQ(figures.at("image_to_text.recall@1"), evaluate_retrieval(trained, pairs_).image_to_text.recall_at_1);
  }
}

TEST_F(ValidatedRun, KnowsItsKeysBefore) {
  const auto trained = model();
  const auto retrieval = validate_retrieval("all", pairs_, InfoNCE());
  const std::vector<std::string> colours{"red",
                                         "a red square",
                                         "a green square",
                                         "a blue square",
                                         "a white square",
                                         "a black square",
                                         "a yellow square",
                                         "a violet square",
                                         "an orange square",
                                         "a orange square"};
  const auto zero_shot = validate_zero_shot("colours", pairs_, colours, {"{}."});
  for (const auto& validation : {retrieval, zero_shot}) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : validation.measure(trained, {})) keys.push_back(key);
    EXPECT_EQ(validation.keys, keys);
  }
}

/// SimCLR compares pictures with each other, which held-out pairs have no second view for.
TEST_F(ValidatedRun, MeasuresInfoNceWhereTheLossNeedsMoreThanPairs) {
  const auto trained = model();
  const auto expected = info_nce_of(trained, embed_pairs(trained, pairs_));
  EXPECT_NEAR(validate_retrieval("all", pairs_, SimCLR()).measure(trained, {}).at("loss"), expected, 1e-5);
}

TEST_F(ValidatedRun, TrainsToTheSameBits) {
  for (const bool resnet : {false, true}) {
    how_.out.clear();
    const auto plain = model(1, resnet), validated = model(1, resnet);
    train(plain, how_);
    auto how = how_;
    how.validations = {validate_retrieval("all", pairs_, InfoNCE())};
    how.validation.every = 2;
    std::vector<std::int64_t> steps;
    Trainer trainer(validated, InfoNCE(), how);
    trainer.on_validation([&](const ValidationResult& r) { steps.push_back(r.step); });
    trainer.fit(pairs_);
    EXPECT_EQ(steps, (std::vector<std::int64_t>{2, 4, 6, 8}));
    expect_equal_bits(plain, validated);
  }
}

TEST_F(ValidatedRun, WritesALineEach) {
  how_.validations = {validate_retrieval("all", pairs_, InfoNCE()), scripted("mine.own", {1, 0.5, 2})};
  how_.validation.every = 3;
  train(model(), how_);
  const auto all = lines();
  ASSERT_EQ(all.size(), 6U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].at("step"), (std::vector{3, 6, 8}[i / 2]));
    EXPECT_EQ(all[i].at("name"), i % 2 ? "mine.own" : "all");
    EXPECT_GE(all[i].at("seconds"), 0.0);
  }
  EXPECT_EQ(all[0].at("pairs"), 8);
  EXPECT_TRUE(all[0].at("image_to_text").contains("recall@10"));
  EXPECT_EQ(all[3].at("figure"), 0.5);
}

TEST_F(ValidatedRun, KeepsTheBestCheckpoint) {
  how_.validations = {scripted("mine.own", {0.1, 0.3, 0.2, 0.3})};
  how_.validation = {.every = 2, .best = "mine.own.figure"};
  how_.checkpoints.keep_last = 1;
  const auto summary = train(model(), how_);
  EXPECT_EQ(summary.best_step, 4);
  EXPECT_EQ(best(), "step-00000004\n");
  EXPECT_TRUE(fs::exists(how_.out / "checkpoints" / "step-00000004" / "trainer.json"));
  EXPECT_TRUE(fs::exists(how_.out / "checkpoints" / "step-00000008" / "trainer.json"));
  EXPECT_FALSE(fs::exists(how_.out / "checkpoints" / "step-00000002"));

  how_.out = runs_.path() / "ever better";
  how_.validations = {scripted("mine.own", {0.1, 0.2, 0.3, 0.4})};
  train(model(), how_);
  EXPECT_EQ(best(), "step-00000008\n");
  std::vector<std::string> names;
  for (const auto& path : entries_of(how_.out / "checkpoints")) names.push_back(path.filename().string());
  EXPECT_EQ(names, (std::vector<std::string>{"best", "latest", "step-00000008"}));
}

/// The best step's checkpoint is gone: the best of those that are there is named, and stays.
TEST_F(ValidatedRun, KeepsTheBestThatIsThereWhenItGoesOn) {
  how_.validations = {scripted("mine", {0.1, 0.3, 0.2, 0.1})};
  how_.validation = {.every = 2, .best = "mine.figure"};
  train(model(), how_);
  EXPECT_EQ(best(), "step-00000004\n");
  fs::remove_all(how_.out / "checkpoints" / "step-00000004");
  fs::copy(how_.out / "checkpoints" / "step-00000008", how_.out / "checkpoints" / "step-00000006");
  write_file_atomically(how_.out / "checkpoints" / "step-00000006" / "trainer.json",
                        R"({"step": 6, "samples_seen": 24, "skipped_steps": 0, "skipped_in_a_row": 0})");

  how_.resume = true;
  how_.steps = 10;
  how_.checkpoints.keep_last = 1;
  how_.validations = {scripted("mine", {0.25})};
  const test::CapturedLog log;
  train(model(9), how_);
  EXPECT_EQ(best(), "step-00000006\n");
  EXPECT_TRUE(fs::exists(how_.out / "checkpoints" / "step-00000006" / "trainer.json"));
  EXPECT_EQ(log.count("the best step so far, 4 of mine.figure, has no checkpoint any more; of those there are, the "
                      "best is step 6"),
            1);
}

TEST_F(ValidatedRun, EndsWhenItsFigureGetsNoBetter) {
  how_.steps = 100;
  how_.validations = {scripted("mine", {0.3, 0.2, 0.1, 0.4, 0.4, 0.3, 0.2})};  // better once more at step 8
  how_.validation = {.every = 2, .best = "mine.figure", .patience = 3};
  const auto trained = model();
  const auto summary = train(trained, how_);
  EXPECT_TRUE(summary.ended_early);
  EXPECT_FALSE(summary.stopped);
  EXPECT_EQ(summary.last.step, 14);
  EXPECT_EQ(summary.best_step, 8);
  EXPECT_EQ(best(), "step-00000008\n");
  expect_equal_bits(DualEncoder::load(how_.out / "model"), trained);

  how_.resume = true;  // it has ended, and does so again
  how_.validations = {scripted("mine", {})};
  const auto again = train(model(9), how_);
  EXPECT_TRUE(again.ended_early);
  EXPECT_EQ(again.last.step, 14);
}

TEST_F(ValidatedRun, StopsAndGoesOnInsideAValidation) {
  const auto whole = model();
  how_.validations = {validate_retrieval("first", pairs_, InfoNCE()), validate_retrieval("second", pairs_, InfoNCE())};
  how_.validation = {.every = 2, .best = "second.loss"};
  train(whole, how_);
  const auto undisturbed = lines();
  const auto best_of_all = best();

  how_.out = runs_.path() / "stopped";
  for (const std::int64_t at : {2, 4, 6, 8}) {
    Trainer trainer(how_.resume ? model(9) : model(), InfoNCE(), how_);
    trainer.on_validation([&](const ValidationResult& r) {
      if (r.step == at && r.name == "first") trainer.stop();
    });
    EXPECT_TRUE(trainer.fit(pairs_).stopped) << at;
    how_.resume = true;
  }
  EXPECT_FALSE(fs::exists(how_.out / "model"));
  const auto resumed = model(9);
  EXPECT_FALSE(train(resumed, how_).stopped);
  expect_equal_bits(whole, resumed);
  const auto all = lines();
  ASSERT_EQ(all.size(), undisturbed.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto* key : {"step", "name", "loss"}) EXPECT_EQ(all[i].at(key), undisturbed[i].at(key));
  }
  EXPECT_EQ(best(), best_of_all);
}

TEST_F(ValidatedRun, EndsWithAnErrorWhenAGuardedFigureFalls) {
  how_.validations = {scripted("old", {0.8, 0.79, 0.7})};
  how_.validation = {.every = 2, .guard = "old.figure", .largest_fall = 0.05};
  const auto complaint = message_of<Error>([&] { train(model(), how_); });
  EXPECT_EQ(complaint.find("the guarded figure old.figure was 0.8 at first and is 0.7 behind step 4, worse by more "
                           "than 0.05: "),
            0U)
      << complaint;
  EXPECT_EQ(lines().size(), 3U);
  EXPECT_EQ(lines().front().at("step"), 0);
}

TEST_F(ValidatedRun, RefusesAFigureThatIsNone) {
  how_.validations = {validate_retrieval("all", pairs_, InfoNCE()), scripted("mine", {1})};
  const auto refusal = [&](const std::string& best) {
    how_.validation.best = best;
    return message_of<Error>([&] { Trainer(model(), InfoNCE(), how_); });
  };
  EXPECT_EQ(refusal("other.loss"),
            "[Trainer] validation.best: \"other.loss\" is no figure of a validation; expected NAME.KEY with a NAME of: "
            "all, mine");
  EXPECT_EQ(refusal("all.recall").find("[Trainer] validation.best: \"all\" has no figure \"recall\"; it has alignment"),
            0U);
  how_.validation.best = "mine.other";  // which only its first result tells
  EXPECT_EQ(message_of<Error>([&] { train(model(), how_); }),
            "[Trainer] validation: \"mine\" has no figure \"other\"; it has figure");
  how_.validation.best.clear();
  how_.validations.push_back(how_.validations.front());
  EXPECT_EQ(message_of<Error>([&] { Trainer(model(), InfoNCE(), how_); }),
            "[Trainer] validations: two are called \"all\"");
}

TEST(Figures, AreObjectsInObjects) {
  const Figures figures{{"loss", 0.5}, {"a.b.c", 2}, {"a.d", std::nan("")}};
  const auto object = json_of(figures);
  EXPECT_EQ(object, json::parse(R"({"loss": 0.5, "a": {"b": {"c": 2}, "d": null}})"));
  const auto back = figures_of(object);
  EXPECT_EQ(back.at("a.b.c"), 2);
  EXPECT_TRUE(std::isnan(back.at("a.d")));
}

TEST(Figures, LossesRanksAndErrorsAreBetterLow) {
  for (const auto* key : {"loss", "image_to_text.median_rank", "calibration_error", "negative_log_likelihood"})
    EXPECT_TRUE(is_better_lower(key)) << key;
  for (const auto* key : {"top1", "image_to_text.recall@1", "text_to_image.map@10", "linear_cka"})
    EXPECT_FALSE(is_better_lower(key)) << key;
}

}  // namespace
}  // namespace vlalign::validation_test
