#include "vlalign/train/trainer.hpp"

#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/io/files.hpp"
#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::trainer_test {
namespace {

namespace fs = std::filesystem;
using test::Colours;
using test::message_of;
using test::TempFolder;

TEST_F(Colours, AreLearnt) {
  auto how = options(120);
  how.batch_size = 8;
  std::vector<StepResult> steps;
  Trainer trainer(model(), InfoNCE(), how);
  trainer.on_step([&](const StepResult& r) { steps.push_back(r); });
  trainer.fit(pairs_);
  ASSERT_EQ(steps.size(), 120U);
  EXPECT_GT(steps.front().loss, 1.5);  // ln 8 = 2.08
  EXPECT_LT(steps.back().loss, 0.3);
  EXPECT_GE(steps.back().accuracy, 0.9);
}

TEST_F(Colours, SameSeedGivesTheSameBits) {
  const auto a = model(1, true), b = model(1, true), other = model(1, true);
  train(a, options(6));
  train(b, options(6));
  expect_equal_bits(a, b);
  auto how = options(6);
  how.seed = 8;
  train(other, how);
  EXPECT_NE(a.logit_scale().item<float>(), other.logit_scale().item<float>());
}

TEST_F(Colours, AResumedRunEqualsOneThatNeverStopped) {
  for (const bool resnet : {false, true}) {
    const TempFolder runs;
    auto how = options(9);
    how.checkpoints.every = 2;
    how.precision = Precision::bf16;
    how.out = runs.path() / "whole";
    const auto whole = model(1, resnet);
    train(whole, how);

    // Stopped after step 5, one step beyond its newest checkpoint.
    how.out = runs.path() / "stopped";
    Trainer stopped(model(1, resnet), InfoNCE(), how);
    stopped.on_step([](const StepResult& r) {
      if (r.step == 5) throw std::runtime_error("pulled the plug");
    });
    EXPECT_THROW(stopped.fit(pairs_), std::runtime_error);
    EXPECT_EQ(read_file(how.out / "checkpoints" / "latest"), "step-00000004\n");
    EXPECT_EQ(metrics(how.out).size(), 5U);

    how.resume = true;
    const auto resumed = model(99, resnet);  // other initial weights: all must come from the checkpoint
    train(resumed, how);
    expect_equal_bits(whole, resumed);
    const auto lines = metrics(how.out), expected = metrics(runs.path() / "whole");
    ASSERT_EQ(lines.size(), 9U);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      for (const auto* key : {"step", "epoch", "loss", "lr", "logit_scale", "samples_seen", "accuracy", "grad_norm"}) {
        EXPECT_EQ(lines[i].at(key), expected[i].at(key)) << key << " in line " << i;
      }
    }
  }
}

TEST_F(Colours, ARunThatIsToldToStopEndsAfterItsStepAndGoesOnWhenResumed) {
  const TempFolder runs;
  const auto whole = model();
  train(whole, options(9));

  auto how = options(9);
  how.out = runs.path() / "run";
  const auto stopped = model();
  Trainer trainer(stopped, InfoNCE(), how);
  trainer.stop();  // before fit() it does nothing
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 4) std::thread([&] { trainer.stop(); }).join();
  });
  const auto summary = trainer.fit(pairs_);
  EXPECT_TRUE(summary.stopped);
  EXPECT_EQ(summary.last.step, 4);
  EXPECT_EQ(read_file(how.out / "checkpoints" / "latest"), "step-00000004\n");
  EXPECT_FALSE(fs::exists(how.out / "model"));

  how.resume = true;
  const auto resumed = model(99);
  EXPECT_FALSE(train(resumed, how).stopped);
  expect_equal_bits(whole, resumed);
  EXPECT_TRUE(fs::exists(how.out / "model"));
}

TEST_F(Colours, AStopInTheLastStepIsNone) {
  Trainer trainer(model(), InfoNCE(), options(3));
  trainer.on_step([&](const StepResult&) { trainer.stop(); });
  EXPECT_EQ(trainer.fit(pairs_).last.step, 1);
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 3) trainer.stop();
  });
  EXPECT_FALSE(trainer.fit(pairs_).stopped);
}

TEST_F(Colours, ResumingAFinishedRunChangesNothing) {
  const TempFolder runs;
  auto how = options(3);
  how.out = runs.path() / "run";
  const auto first = model();
  train(first, how);
  how.resume = true;
  const auto again = model(5);
  const auto summary = train(again, how);
  expect_equal_bits(first, again);
  EXPECT_EQ(metrics(how.out).size(), 3U);
  EXPECT_EQ(summary.last.step, 3);
}

TEST_F(Colours, ARunFolderHoldsWhatItPromises) {
  const TempFolder runs;
  auto how = options(4);
  how.out = runs.path() / "run";
  how.checkpoints.every = 3;
  train(model(), how);
  for (const auto* file :
       {"config.json", "metrics.jsonl", "checkpoints/latest", "checkpoints/step-00000003/trainer.json",
        "checkpoints/step-00000003/trainer.safetensors", "checkpoints/step-00000004/open_clip_model.safetensors",
        "model/open_clip_config.json", "model/open_clip_model.safetensors", "model/vocab.json"}) {
    EXPECT_TRUE(fs::exists(how.out / file)) << file;
  }
  const auto line = metrics(how.out).at(1);
  EXPECT_EQ(line.at("step"), 2);
  EXPECT_EQ(line.at("samples_seen"), 8);
  EXPECT_EQ(line.at("epoch"), 0);
  for (const auto& entry : fs::recursive_directory_iterator(how.out)) {
    EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
  }
}

TEST_F(Colours, AModelInHuggingFacesLayoutTrainsAndResumes) {
  const TempFolder runs;
  const auto made = [](std::uint64_t seed) {
    auto config = model().config();
    config.layout = Layout::hugging_face;
    config.preprocess.crop_rounds_down = true;  // as transformers does
    return DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}), seed);
  };
  auto how = options(4);
  how.out = runs.path() / "run";
  const auto first = made(1), again = made(2);
  train(first, how);
  how.resume = true;
  train(again, how);
  const auto bias = [](const DualEncoder& of) { return of.module()->named_parameters()["visual.ln_post.bias"]; };
  EXPECT_TRUE(bias(again).equal(bias(first)));
  const auto config = nlohmann::json::parse(read_file(how.out / "config.json")).at("model");
  EXPECT_EQ(config.at("config.json").at("model_type"), "clip");
  EXPECT_EQ(config.at("preprocessor_config.json").at("crop_size").at("height"), 32);
}

TEST_F(Colours, AFolderWithAnotherRunIsRefused) {
  const TempFolder runs;
  auto how = options(2);
  how.out = runs.path() / "run";
  train(model(), how);
  const auto config = read_file(how.out / "config.json");
  EXPECT_EQ(message_of<Error>([&] { train(model(), how); }),
            how.out.string() + ": already holds a run; resume it (--resume) or choose another folder");
  how.resume = true;
  how.learning_rate = 1e-4;
  const auto message = message_of<Error>([&] { train(model(), how); });
  EXPECT_NE(message.find("cannot resume a run of other settings: lr was 0.003, is now 0.0001"), std::string::npos)
      << message;
  EXPECT_EQ(read_file(how.out / "config.json"), config);

  how.out = folder_.path();  // full of pictures
  how.resume = false;
  EXPECT_NE(message_of<Error>([&] { train(model(), how); }).find("is not empty and holds no run"), std::string::npos);
}

TEST_F(Colours, AFolderThatIsBeingTrainedInIsRefused) {
  const TempFolder runs;
  auto how = options(3);
  how.out = runs.path() / "run";
  std::string second;
  Trainer first(model(), InfoNCE(), how);
  first.on_step([&](const StepResult& r) {
    auto again = how;
    again.resume = true;
    if (r.step == 2) second = message_of<Error>([&] { train(model(), again); });
  });
  first.fit(pairs_);
  EXPECT_EQ(second, how.out.string() + ": another process is training here; wait for it, or choose another folder");
  EXPECT_EQ(metrics(how.out).size(), 3U);
}

TEST_F(Colours, MicroBatchesGiveTheWholeBatchsSteps) {
  // A ViT, without batch norm, so that the whole batch's gradient is defined piece by piece.
  const auto whole = model(), pieces = model();
  auto how = options(4);
  how.batch_size = 8;
  how.precision = Precision::fp32;
  const auto plain = train(whole, how);
  how.micro_batch = 3;  // 3 + 3 + 2
  const auto cached = train(pieces, how);
  EXPECT_NEAR(plain.last.loss, cached.last.loss, 1e-4);
  EXPECT_NEAR(plain.last.grad_norm, cached.last.grad_norm, 1e-3 * plain.last.grad_norm);
  EXPECT_NEAR(whole.logit_scale().item<double>(), pieces.logit_scale().item<double>(), 1e-4);
}

TEST_F(Colours, AStepThatIsNotFiniteIsSkippedAndCounted) {
  int calls = 0;
  const auto sometimes = [&calls](const ContrastiveBatch& b) {
    const double factor = ++calls == 2 ? std::numeric_limits<double>::quiet_NaN() : 1.0;
    return InfoNCE().forward(b) * factor;
  };
  const auto trained = model();
  const auto summary = Trainer(trained, sometimes, options(4)).fit(pairs_);
  EXPECT_EQ(summary.skipped_steps, 1);
  EXPECT_TRUE(std::isfinite(trained.logit_scale().item<double>()));

  const auto never = [](const ContrastiveBatch& b) {
    return InfoNCE().forward(b) * std::numeric_limits<double>::quiet_NaN();
  };
  const auto message = message_of<Error>([&] { Trainer(model(), never, options(40)).fit(pairs_); });
  EXPECT_NE(message.find("not finite for 10 steps in a row, up to step 10"), std::string::npos) << message;
}

TEST_F(Colours, TheLogitScaleNeverPassesAHundred) {
  const auto pushed = model();
  auto how = options(30);
  how.learning_rate = 0.5;
  how.schedule.warmup = 0;
  how.grad_clip = 1.0;
  Trainer trainer(
      pushed, [](const ContrastiveBatch& b) { return -b.logit_scale; }, how);
  trainer.fit(pairs_);
  EXPECT_NEAR(pushed.logit_scale().item<double>(), 100.0, 1e-3);
}

class ColoursCuda : public Colours {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
    at::globalContext().setAllowTF32CuDNN(false);
    Colours::SetUp();
  }
};

TEST_F(ColoursCuda, FirstStepsAgreeWithTheCpus) {
  for (const bool resnet : {false, true}) {
    const auto on_cpu = train(model(1, resnet), options(5));
    auto how = options(5);
    how.device = parse_device("cuda");
    const auto on_gpu = train(model(1, resnet), how);
    EXPECT_NEAR(on_gpu.last.loss, on_cpu.last.loss, 0.01 * on_cpu.last.loss);
  }
}

TEST_F(ColoursCuda, AreLearntInBfloat16) {
  auto how = options(120);
  how.batch_size = 8;
  how.device = parse_device("cuda");
  how.precision = Precision::bf16;
  EXPECT_LT(train(model(), how).last.loss, 0.3);
}

TEST_F(ColoursCuda, PiecesOfABatchAgreeWithTheWhole) {
  auto how = options(5);
  how.batch_size = 8;
  how.device = parse_device("cuda");
  const auto whole = train(model(), how);
  how.micro_batch = 2;
  EXPECT_NEAR(train(model(), how).last.loss, whole.last.loss, 0.01 * whole.last.loss);
}

TEST_F(ColoursCuda, AResumedRunGoesOnFromItsCheckpoint) {
  const TempFolder runs;
  auto how = options(8);
  how.checkpoints.every = 4;
  how.device = parse_device("cuda");
  how.out = runs.path() / "whole";
  const auto whole = train(model(), how);
  how.out = runs.path() / "stopped";
  Trainer stopped(model(), InfoNCE(), how);
  stopped.on_step([](const StepResult& r) {
    if (r.step == 6) throw std::runtime_error("pulled the plug");
  });
  EXPECT_THROW(stopped.fit(pairs_), std::runtime_error);
  how.resume = true;
  const auto resumed = train(model(9), how);  // other weights: all must come from the checkpoint
  EXPECT_EQ(resumed.last.step, 8);
  EXPECT_NEAR(resumed.last.loss, whole.last.loss, 0.01 * whole.last.loss);
}

TEST_F(Colours, OptionsThatCannotWorkAreNamed) {
  auto how = options(2);
  how.batch_size = 9;
  EXPECT_NE(message_of<Error>([&] { train(model(), how); }).find("9 is larger than"), std::string::npos);
  how = options(2);
  how.schedule.warmup = 2;
  EXPECT_EQ(message_of<Error>([&] { train(model(), how); }), "[Trainer] warmup: 2 steps leave none of the run's 2");
  how = options(0);
  EXPECT_EQ(message_of<Error>([&] { train(model(), how); }), "[Trainer] steps: expected a positive number, got 0");
}

}  // namespace
}  // namespace vlalign::trainer_test
