// What a run does behind a step that isn't finite, by its policy.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::non_finite_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CapturedLog;
using test::message_of;
using test::TempFolder;

constexpr auto infinite = std::numeric_limits<double>::infinity();

/// InfoNCE, and infinite in the calls (counted from 1) that `bad` names.
AnyLoss infinite_in(std::set<int> bad) {
  const auto calls = std::make_shared<int>(0);
  return [calls, bad = std::move(bad)](const ContrastiveBatch& b) {
    return InfoNCE().forward(b) * (bad.contains(++*calls) ? infinite : 1.0);
  };
}

class PoisonedRun : public test::Colours {
 protected:
  void SetUp() override {
    Colours::SetUp();
    how_ = options(9);
    how_.checkpoints.every = 2;
    how_.ema_decay = 0.5;
    how_.out = runs_.path() / "run";
  }

  TrainSummary fit(const DualEncoder& trained, const AnyLoss& loss) const {
    return Trainer(trained, loss, how_).fit(pairs_);
  }

  /// The names of a batch's records, from a loader of the same options.
  std::set<std::string> records_of_step(std::int64_t step) const {
    const auto encoder = model();
    Loader loader(pairs_, encoder.tokenizer(), 16, encoder.config().preprocess,
                  {.batch_size = how_.batch_size, .seed = how_.seed, .augmentation = how_.augmentation});
    loader.seek(step - 1);
    std::set<std::string> names;
    for (const auto record : loader.next().records) names.insert(pairs_->name(record));
    return names;
  }

  json only_line() const {
    std::ifstream file(how_.out / "non_finite.jsonl");
    std::string line, more;
    std::getline(file, line);
    EXPECT_FALSE(std::getline(file, more)) << more;
    return json::parse(line);
  }

  TempFolder runs_;
  TrainerOptions how_;
  CapturedLog log_;
};

TEST_F(PoisonedRun, SkipsTheStepAndNamesItsRecords) {
  for (const std::int64_t micro_batch : {0, 2}) {
    how_.micro_batch = micro_batch;
    how_.out = runs_.path() / std::to_string(micro_batch);
    EXPECT_EQ(fit(model(), infinite_in({5})).skipped_steps, 1);
    const auto line = only_line();
    EXPECT_EQ(line.at("step"), 5);
    EXPECT_EQ(line.at("policy"), "skip");
    EXPECT_EQ(line.at("records").get<std::set<std::string>>(), records_of_step(5));
  }
}

TEST_F(PoisonedRun, StopsWithTheWeightsBeforeTheStep) {
  how_.non_finite = NonFinite::stop;
  const auto complaint = message_of<Error>([&] { fit(model(), infinite_in({6})); });
  EXPECT_EQ(complaint,
            "loss, gradient or statistics were not finite in step 6: the run ends with the weights before it, the "
            "step's records are in non_finite.jsonl; resume with another policy for such steps (skip, rewind) or "
            "without the records that cause it");
  EXPECT_EQ(only_line().at("step"), 6);
  EXPECT_EQ(read_file(how_.out / "checkpoints" / "latest"), "step-00000005\n");
  EXPECT_EQ(metrics(how_.out).size(), 5U);

  const auto stopped_at = how_.out;
  how_.non_finite = NonFinite::skip;
  how_.out = runs_.path() / "whole";
  const auto whole = model(), resumed = model(9);
  fit(whole, infinite_in({6}));
  how_.out = stopped_at;
  how_.resume = true;
  fit(resumed, infinite_in({1}));  // step 6 once more
  expect_equal_bits(whole, resumed);
}

/// The weights of step 4 go on with the batch of step 8, as if a run had been told to train on nothing between.
TEST_F(PoisonedRun, RewindsToTheLastCheckpointAndPassesOverTheRecordsSince) {
  how_.non_finite = NonFinite::rewind;
  how_.checkpoints.every = 4;
  const auto trained = model(1, /*resnet=*/true);
  std::vector<StepResult> results;
  Trainer trainer(trained, infinite_in({7}), how_);
  trainer.on_step([&](const StepResult& r) {
    results.push_back(r);
    if (r.step == 7) expect_equal_bits(trained, DualEncoder::load(how_.out / "checkpoints" / "step-00000004"));
  });
  EXPECT_EQ(trainer.fit(pairs_).skipped_steps, 3);  // 5, 6 and 7
  ASSERT_EQ(results.size(), 9U);
  EXPECT_EQ(results[6].rewound_to, 4);
  EXPECT_TRUE(results[6].skipped);
  EXPECT_FALSE(results[7].skipped);
  const auto lines = metrics(how_.out);
  ASSERT_EQ(lines.size(), 9U);
  EXPECT_EQ(lines[6].at("rewound_to"), 4);

  // The same by another way: the steps between are all skipped.
  const auto other = model(1, /*resnet=*/true);
  how_.out = runs_.path() / "other";
  how_.non_finite = NonFinite::skip;
  EXPECT_EQ(fit(other, infinite_in({5, 6, 7})).skipped_steps, 3);
  expect_equal_bits(trained, other);
  expect_equal_bits(DualEncoder::load(runs_.path() / "run" / "model-ema"), DualEncoder::load(how_.out / "model-ema"));
}

TEST_F(PoisonedRun, SkipsWhereThereIsNothingToRewindTo) {
  how_.non_finite = NonFinite::rewind;
  EXPECT_EQ(fit(model(), infinite_in({1})).skipped_steps, 1);
  EXPECT_NE(log_.text().find("step 1: there is no checkpoint yet to go back to, the step is skipped"),
            std::string::npos);
}

TEST_F(PoisonedRun, DoesNotRewindForEver) {
  how_.non_finite = NonFinite::rewind;
  how_.steps = 80;
  how_.checkpoints.every = 50;
  std::set<int> bad;
  for (int call = 52; call <= 72; call += 2) bad.insert(call);
  const auto complaint = message_of<Error>([&] { fit(model(), infinite_in(bad)); });
  EXPECT_EQ(complaint.find("loss, gradient or statistics were not finite for the 11th time behind the checkpoint of "
                           "step 50: "),
            0U)
      << complaint;
}

/// Weights that overflow in the next forward pass, as an update that was too large leaves them: skipping doesn't help.
TEST_F(PoisonedRun, RewindsARunWhoseWeightsExplode) {
  for (const auto policy : {NonFinite::skip, NonFinite::rewind}) {
    how_.non_finite = policy;
    how_.steps = 20;
    how_.out = runs_.path() / std::string(to_string(policy));
    const auto trained = model();
    Trainer trainer(trained, InfoNCE(), how_);
    trainer.on_step([&](const StepResult& r) {
      const at::NoGradGuard no_graph;
      if (r.step == 5) trained.module()->named_parameters()["visual.conv1.weight"].fill_(3e38);
      if (policy == NonFinite::rewind) {
        EXPECT_EQ(r.skipped, r.step == 6) << r.step;
      }
    });
    if (policy == NonFinite::rewind) {
      EXPECT_EQ(trainer.fit(pairs_).skipped_steps, 2);
    } else {
      const auto complaint = message_of<Error>([&] { trainer.fit(pairs_); });
      EXPECT_NE(complaint.find("not finite for 10 steps in a row, up to step 15"), std::string::npos) << complaint;
    }
  }
}

}  // namespace
}  // namespace vlalign::non_finite_test
