// What a resumed run must have in common with the one it goes on with.
#include "train/same_settings.hpp"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "support/captured_log.hpp"
#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/affinity_distillation.hpp"
#include "vlalign/loss/cloob.hpp"
#include "vlalign/loss/weighted_sum.hpp"
#include "vlalign/train/policy_trainer.hpp"

namespace vlalign::same_settings_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::CapturedLog;
using test::message_of;
using test::TempFolder;

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in:\n" << text;
}

class SameSettings : public test::Colours {
 protected:
  /// Of a run that is stopped after its checkpoint at step 2 of 4.
  TrainerOptions begun(const DualEncoder& begins, const AnyLoss& loss) {
    auto how = options(4);
    how.checkpoints.every = 2;
    how.out = runs_.path() / "run";
    how.data_name = "pairs.tsv";
    begin(begins, loss, how);
    return how;
  }

  void begin(const DualEncoder& begins, const AnyLoss& loss, TrainerOptions& how) {
    Trainer trainer(begins, loss, how);
    trainer.on_step([](const StepResult& r) {
      if (r.step == 3) throw std::runtime_error("stop");
    });
    EXPECT_THROW(trainer.fit(pairs_), std::runtime_error);
    how.resume = true;
  }

  std::shared_ptr<const PairSource> with_table(const std::string& table) const {
    write_file_atomically(folder_.path() / "others.tsv", table);
    return open_pairs((folder_.path() / "others.tsv").string());
  }

  TempFolder runs_;
};

TEST_F(SameSettings, AnotherOptionOfTheLossIsRefused) {
  const auto how = begun(model(), CLOOB());
  expect_has(message_of<Error>([&] { Trainer(model(), CLOOB({.beta = 4}), how).fit(pairs_); }),
             "loss_options was \"beta=8 retrieval=true\", is now \"beta=4 retrieval=true\"; use the old settings or "
             "another run folder");
  EXPECT_EQ(Trainer(model(), CLOOB(), how).fit(pairs_).last.step, 4);
}

TEST_F(SameSettings, AnOptionWithinASumIsRefusedToo) {
  const auto sum = [](double beta) { return WeightedSum({{InfoNCE(), {1.0}}, {CLOOB({.beta = beta}), {0.5}}}); };
  const auto how = begun(model(), sum(8));
  expect_has(message_of<Error>([&] { Trainer(model(), sum(4), how).fit(pairs_); }), "loss_options was \"cloob(beta=8");
}

TEST_F(SameSettings, AnEditedCaptionIsRefused) {
  const auto how = begun(model(), InfoNCE());
  auto table = read_file(folder_.path() / "pairs.tsv");
  const auto others = with_table(table.replace(table.find("violet square"), 6, "purple"));
  expect_has(message_of<Error>([&] { Trainer(model(), InfoNCE(), how).fit(others); }), "names_and_captions was \"");
}

TEST_F(SameSettings, TheSameDataElsewhereGoesOnToTheSameBits) {
  auto how = begun(model(), InfoNCE());
  const TempFolder elsewhere;
  fs::copy(folder_.path(), elsewhere.path() / "moved");
  how.data_name = "moved/pairs.tsv";
  const auto resumed = model(9), whole = model();
  {
    const CapturedLog log;
    Trainer(resumed, InfoNCE(), how).fit(open_pairs((elsewhere.path() / "moved" / "pairs.tsv").string()));
    expect_has(log.text(), "data was \"pairs.tsv\", is now \"moved/pairs.tsv\"");
  }
  train(whole, options(4));
  expect_equal_bits(resumed, whole);
}

TEST_F(SameSettings, PathsThatAreNoUtf8AreThemselvesAgain) {
  auto how = options(4);
  how.checkpoints.every = 2;
  how.out = runs_.path() / "caf\xe9";
  how.data_name = "caf\xe9/pairs.tsv";
  begin(model(), InfoNCE(), how);
  const auto config = json::parse(read_file(how.out / "config.json"));
  EXPECT_EQ(config.at("data"), "caf\xef\xbf\xbd/pairs.tsv");  // as Python's errors="replace"
  const CapturedLog log;
  const auto resumed = model(9), whole = model();
  Trainer(resumed, InfoNCE(), how).fit(pairs_);
  EXPECT_EQ(log.count("data was"), 0);
  train(whole, options(4));
  expect_equal_bits(resumed, whole);
}

TEST_F(SameSettings, AnotherTokenizerOfTheSameSizeIsRefused) {
  using Merge = ClipTokenizer::Merge;
  const auto with_merge = [](const Merge& merge) {
    return DualEncoder::create(model().config(), std::make_shared<ClipTokenizer>(std::vector<Merge>{merge}), 1);
  };
  const auto how = begun(with_merge({"r", "e"}), InfoNCE());
  expect_has(message_of<Error>([&] { train(with_merge({"b", "l"}), how); }), "tokenizer was \"");
  EXPECT_EQ(train(with_merge({"r", "e"}), how).last.step, 4);
}

TEST_F(SameSettings, AnotherTeacherIsRefused) {
  auto how = options(4);
  how.checkpoints.every = 2;
  how.out = runs_.path() / "run";
  how.teacher = model(5);
  begin(model(), AffinityDistillation(), how);
  how.teacher = model(6);
  expect_has(message_of<Error>([&] { Trainer(model(), AffinityDistillation(), how).fit(pairs_); }),
             "teacher_weights was \"");
  how.teacher = model(5);
  EXPECT_EQ(Trainer(model(), AffinityDistillation(), how).fit(pairs_).last.step, 4);
}

TEST_F(SameSettings, OtherStartWeightsMatterUntilThereIsACheckpoint) {
  auto how = options(4);
  how.checkpoints.every = 4;
  how.out = runs_.path() / "run";
  begin(model(1), InfoNCE(), how);
  expect_has(message_of<Error>([&] { train(model(2), how); }), "start_weights was \"");
  train(model(1), how);
  EXPECT_EQ(train(model(2), how).last.step, 4);
}

TEST_F(SameSettings, AnotherThreadCountIsToldAndTaken) {
  auto how = options(4);
  how.checkpoints.every = 2;
  how.threads = 1;
  how.out = runs_.path() / "run";
  begin(model(), InfoNCE(), how);
  how.threads = 2;
  const CapturedLog log;
  EXPECT_EQ(train(model(), how).last.step, 4);
  expect_has(log.text(), "threads was 1, is now 2: the bits may differ from those of a run that never stopped");
}

TEST_F(SameSettings, SmallerPiecesAreToldAndTaken) {
  auto how = begun(model(), InfoNCE());
  how.micro_batch = 2;
  const CapturedLog log;
  EXPECT_EQ(train(model(), how).last.step, 4);
  expect_has(log.text(), "micro_batch was 0, is now 2: the bits may differ");
}

/// Behind the step where it stood, its learning rates are those of a run that was to be as long from the beginning.
TEST_F(SameSettings, ARunIsMadeLonger) {
  auto how = begun(model(), InfoNCE());
  train(model(), how);
  how.steps = 40;
  {
    const CapturedLog log;
    EXPECT_EQ(train(model(), how).last.step, 40);
    expect_has(
        log.text(),
        "steps was 4, is now 40; warmup was 0, is now 4: from here on the learning rate is that of a run of this "
        "length");
  }
  EXPECT_EQ(json::parse(read_file(how.out / "config.json")).at("steps"), 40);
  const auto lines = metrics(how.out);
  ASSERT_EQ(lines.size(), 40U);
  for (std::size_t step = 4; step < 40; ++step) {
    const auto cosine = 0.5 * (1 + std::cos(std::numbers::pi * (static_cast<double>(step) - 4) / 36));
    EXPECT_NEAR(lines[step].at("lr").get<double>(), how.learning_rate * cosine, 1e-12) << step;
  }
  how.steps = 20;
  expect_has(message_of<Error>([&] { train(model(), how); }), "steps was 40, is now 20");
}

TEST_F(SameSettings, AnotherOptimizerOrScheduleIsRefused) {
  auto how = begun(model(), InfoNCE());
  auto other = how;
  other.optimizer = LionOptions();
  expect_has(message_of<Error>([&] { train(model(), other); }), "optimizer was \"adamw\", is now \"lion\"");
  other = how;
  other.schedule.shape = Schedule::Shape::constant_cooldown;
  expect_has(message_of<Error>([&] { train(model(), other); }),
             "schedule was \"cosine\", is now \"constant-cooldown\"");
  EXPECT_EQ(train(model(), how).last.step, 4);
}

TEST_F(SameSettings, ALongerRunHasNoOtherWarmup) {
  auto how = begun(model(), InfoNCE());
  how.steps = 40;
  how.schedule.warmup = 20;
  expect_has(message_of<Error>([&] { train(model(), how); }), "warmup was 0, is now 20");
}

TEST_F(SameSettings, AFolderOfAnOlderVersionGoesOn) {
  auto how = begun(model(), InfoNCE());
  auto config = json::parse(read_file(how.out / "config.json"));
  for (const auto* key : {"identity", "optimizer", "schedule"}) config.erase(key);
  write_file_atomically(how.out / "config.json", config.dump(2));
  auto moved = how;
  moved.data_name = "elsewhere.tsv";  // nothing tells that it is the same
  expect_has(message_of<Error>([&] { train(model(), moved); }), "data was \"pairs.tsv\", is now \"elsewhere.tsv\"");
  const CapturedLog log;
  EXPECT_EQ(train(model(), how).last.step, 4);
  expect_has(log.text(), "an older version began this run");
}

/// Two episodes of 8 steps, of one instruction and one action.
class StillEpisodes : public EpisodeSource {
 public:
  StillEpisodes(const std::string& instruction, double action) {
    for (const auto* name : {"first", "second"})
      episodes_.push_back({name, {instruction}, at::zeros({8, 0}), at::zeros({8, 2}).add_(action)});
  }
  std::int64_t size() const override { return 2; }
  const Episode& episode(std::int64_t i) const override { return episodes_.at(static_cast<std::size_t>(i)); }
  Image frame(std::int64_t, std::int64_t, PixelsAs) const override {
    return {32, 32, std::vector<std::uint8_t>(3 * 32 * 32, 90)};
  }

 private:
  std::vector<Episode> episodes_;
};

TEST_F(SameSettings, APolicysDemonstrationsAndAlignmentAreCompared) {
  auto how = options(4);
  how.augmentation = {};
  how.out = runs_.path() / "run";
  const auto fit = [&](const std::string& instruction, double action, std::int64_t pairs) {
    const auto policy = vla::Policy::create(model(), {.actions = {.horizon = 2, .dims = 2}, .width = 32});
    return vla::PolicyTrainer(policy, how,
                              vla::AlignmentBeside{.loss = InfoNCE(), .pairs = pairs_, .batch_size = pairs})
        .fit(std::make_shared<StillEpisodes>(instruction, action));
  };
  const auto first = fit("stay", 0.5, 4);
  how.resume = true;
  expect_has(message_of<Error>([&] { fit("go", 0.5, 4); }), "demonstrations was \"");
  expect_has(message_of<Error>([&] { fit("stay", 0.25, 4); }), "demonstrations was \"");
  expect_has(message_of<Error>([&] { fit("stay", 0.5, 2); }), "alignment_batch_size was 4, is now 2");
  const auto again = fit("stay", 0.5, 4);
  EXPECT_EQ(again.last.loss, first.last.loss);
  EXPECT_EQ(again.last.action_loss, first.last.action_loss);
}

TEST(SameDevice, IsNeededForEqualBitsOnly) {
  const TempFolder folder;
  const auto file = folder.path() / "config.json";
  const auto log_of = [&](const std::string& was, const std::string& now) {
    write_file_atomically(file, json{{"device", was}, {"identity", json::object()}}.dump());
    const CapturedLog log;
    check_same_settings(file, {{"device", now}, {"identity", json::object()}}, true);
    return log.text();
  };
  EXPECT_EQ(log_of("cuda:0", "cuda:0"), "");
  EXPECT_EQ(log_of("cuda:0", "cuda:1"), "resumed all the same: device was \"cuda:0\", is now \"cuda:1\"\n");
  EXPECT_EQ(log_of("cpu", "cuda"),
            "device was \"cpu\", is now \"cuda\": the bits may differ from those of a run that never stopped\n");
}

TEST(OtherModel, IsToldByTheKeysThatDiffer) {
  const TempFolder folder;
  const json before{{"model", {{"a.json", {{"width", 16}, {"layers", 2}, {"mean", {0.5, 0.5}}}}}}};
  auto now = before;
  now["model"]["a.json"]["layers"] = 3;
  now["model"]["a.json"]["heads"] = 4;
  write_file_atomically(folder.path() / "config.json", before.dump());
  const auto said =
      message_of<Error>([&] { check_same_settings(folder.path() / "config.json", now, /*has_checkpoint=*/true); });
  expect_has(said, "other settings: model.a.json.heads was null, is now 4; model.a.json.layers was 2, is now 3; use");
}

}  // namespace
}  // namespace vlalign::same_settings_test
