// A run on several ranks is the run of one process: each test with DISABLED_ in its name runs in all processes of a
// job, and rank 0 compares with a process alone. For a longer comparison: VLALIGN_RANKED_STEPS=50
// VLALIGN_RANKED_SIZE=4.
#include <ATen/TensorOperators.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <memory>

#include "support/colours.hpp"
#include "support/growing_bars.hpp"
#include "support/job.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/train/policy_trainer.hpp"

namespace vlalign::ranked_run_test {
namespace {

using test::message_of;
using test::TempFolder;
using Tensors = std::map<std::string, at::Tensor>;

struct Outcome {
  std::vector<StepResult> steps;
  TrainSummary summary;
  Tensors weights;
};

Tensors copies_of(const torch::nn::Module& module) {
  Tensors all;
  for (const auto& item : module.named_parameters()) all[item.key()] = item.value().detach().clone();
  return all;
}

/// A number from the environment, where there is one.
int number_or(int usual, const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? usual : std::atoi(value);
}

/// The largest difference of two numbers, relative where they are above 1.
double difference(double a, double b) { return std::abs(a - b) / std::max(1.0, std::abs(b)); }

///   error: of a loss, relative
///   accuracy: the captions are all different; ties are none where two were encoded beside others
void expect_same_run(const Outcome& job, const Outcome& alone, const std::string& what, bool accuracy = true,
                     double error = 1e-5) {
  ASSERT_EQ(job.steps.size(), alone.steps.size()) << what;
  for (std::size_t i = 0; i < job.steps.size(); ++i) {
    const auto &a = job.steps[i], &b = alone.steps[i];
    EXPECT_LT(difference(a.loss, b.loss), error) << what << ", step " << i + 1;
    EXPECT_LT(difference(a.grad_norm, b.grad_norm), 1e-3) << what << ", step " << i + 1;
    EXPECT_LT(difference(a.logit_scale, b.logit_scale), 1e-5) << what << ", step " << i + 1;
    EXPECT_NEAR(accuracy ? a.accuracy : b.accuracy, b.accuracy, 1e-9) << what << ", step " << i + 1;
    EXPECT_EQ(a.samples_seen, b.samples_seen) << what << ", step " << i + 1;
    EXPECT_EQ(a.skipped, b.skipped) << what << ", step " << i + 1;
  }
  for (const auto& [name, value] : alone.weights)
    EXPECT_LT((job.weights.at(name) - value).abs().max().item<double>(), 2e-5) << what << ": " << name;
}

/// In the processes of a job.
class RankOfRun : public test::Colours {
 protected:
  static void SetUpTestSuite() { ranks_ = std::make_unique<Ranks>(Ranks::from_environment()); }
  static void TearDownTestSuite() { ranks_.reset(); }

  TrainerOptions how(std::int64_t steps, std::int64_t batch_size) const {
    auto o = options(number_or(static_cast<int>(steps), "VLALIGN_RANKED_STEPS"));
    if (*o.steps > 10) o.learning_rate = TrainerOptions().learning_rate;
    o.batch_size = batch_size;
    std::get<AdamWOptions>(o.optimizer).eps =
        1e-2;  // where gradients are small, the sign of a rounding doesn't decide a step
    o.grad_clip = 0.5;
    return o;
  }

  using Fit = std::function<Outcome(const TrainerOptions&)>;

  /// With these ranks and then, on rank 0, alone; fit: makes a fresh model and trains it.
  static void expect_as_alone(const Fit& fit, TrainerOptions how, const std::string& what, bool accuracy = true,
                              double error = 1e-5) {
    const auto alone = how;
    how.ranks = *ranks_;
    const auto job = fit(how);
    if (ranks_->rank() == 0) expect_same_run(job, fit(alone), what, accuracy, error);
  }

  template <typename Source>
  static Outcome fit(const DualEncoder& model, const AnyLoss& loss, const TrainerOptions& how, const Source& source) {
    Outcome outcome;
    Trainer trainer(model, loss, how);
    trainer.on_step([&](const StepResult& step) { outcome.steps.push_back(step); });
    outcome.summary = trainer.fit(source);
    outcome.weights = copies_of(*model.module());
    return outcome;
  }

  Fit of_pairs(const AnyLoss& loss, const std::function<DualEncoder()>& make) const {
    return [=, this](const TrainerOptions& o) { return fit(make(), loss, o, pairs_); };
  }
  Fit of_pairs(const char* loss = "infonce") const {
    return of_pairs(make_loss(loss), [] { return model(); });
  }

  /// The eight colours, so many times.
  std::shared_ptr<const PairSource> many_pairs(std::size_t times) const {
    const std::vector<std::string> tables(times, (folder_.path() / "pairs.tsv").string());
    return open_pairs(fmt::format("{}", fmt::join(tables, "::")));
  }

  /// Four bad pictures before the eight colours.
  std::shared_ptr<const PairSource> dirty_pairs() const {
    std::string table = read_file(folder_.path() / "pairs.tsv");
    const auto head = table.find('\n') + 1;
    std::string bad;
    for (int i = 0; i < 4; ++i) {
      const auto name = "bad" + std::to_string(i) + ".png";
      write_file_atomically(folder_.path() / name, "no picture");
      bad += name + "\ta broken square\n";
    }
    write_file_atomically(folder_.path() / "dirty.tsv", table.insert(head, bad));
    return open_pairs((folder_.path() / "dirty.tsv").string());
  }

  static DualEncoder model_with_bias() {
    auto config = model().config();
    config.scale.bias = -3.0;
    return DualEncoder::create(config, model().tokenizer(), 1);
  }

  static std::unique_ptr<Ranks> ranks_;
};

std::unique_ptr<Ranks> RankOfRun::ranks_;

TEST_F(RankOfRun, DISABLED_EveryLossOfPairs) {
  auto names = loss_names();
  names.insert(names.end(), {"infonce+0.5*simclr", "infonce+0:0.5@0:0.1*cyclip"});
  for (const auto& name : names) {
    const auto loss = make_loss(name);
    const auto uses = loss->uses();
    if (uses.frames > 0) continue;
    auto o = how(4, 7);  // 3 or 4 for each of two
    if (uses.teacher) o.teacher = model(5);
    expect_as_alone(of_pairs(loss, model_with_bias), o, name);
  }
}

/// A batch so large that the texts go around a ring.
TEST_F(RankOfRun, DISABLED_SigmoidLossOfALargeBatch) {
  const auto pairs = many_pairs(64);
  const auto wide = [] {
    auto config = model_with_bias().config();
    config.embed_dim = 4096;
    return DualEncoder::create(config, model().tokenizer(), 1);
  };
  const auto run = [&](const TrainerOptions& o) { return fit(wide(), make_loss("siglip"), o, pairs); };
  auto o = how(2, 512);
  expect_as_alone(run, o, "a ring", /*accuracy=*/false);
  o.micro_batch = 100;
  expect_as_alone(run, o, "a ring in micro-batches", /*accuracy=*/false);
}

TEST_F(RankOfRun, DISABLED_EveryLossOnVideo) {
  const std::shared_ptr<const EpisodeSource> bars = std::make_shared<test::GrowingBars>();
  for (const auto* name : {"vip", "liv", "r3m"}) {
    const auto fit_bars = [&](const TrainerOptions& o) { return fit(model(), make_loss(name), o, bars); };
    auto o = how(3, 5);
    o.augmentation = {};
    expect_as_alone(fit_bars, o, name, /*accuracy=*/false);
  }
}

TEST_F(RankOfRun, DISABLED_ALossOfOnesOwnAndTargets) {
  const AnyLoss own([](const ContrastiveBatch& b) {
    return (b.image - b.text).square().sum(1).mean() + (b.logit_scale * b.image.matmul(b.text.t())).exp().mean().log();
  });
  expect_as_alone(of_pairs(own, [] { return model(); }), how(4, 5), "a lambda");
  auto o = how(4, 6);
  o.targets = equal_captions();
  expect_as_alone(of_pairs(), o, "equal captions");
  o.targets = shared_tokens(*model().tokenizer());
  expect_as_alone(of_pairs(), o, "shared tokens");
}

TEST_F(RankOfRun, DISABLED_WhateverATowerIsAndWhateverTrains) {
  auto o = how(4, 8);
  o.micro_batch = 3;
  expect_as_alone(of_pairs(), o, "micro-batches");
  o = how(4, 6);
  o.ema_decay = 0.9;
  expect_as_alone(of_pairs(), o, "EMA");
  o = how(4, 6);
  o.fine_tuning.lock_image = 0;
  expect_as_alone(of_pairs(), o, "locked image tower");
  const auto with_adapter = [] {
    auto adapted = model();
    add_lora(adapted, {.rank = 2}, 3);
    return adapted;
  };
  expect_as_alone(of_pairs(make_loss("infonce"), with_adapter), how(4, 6), "LoRA");
  const auto checkpointed = [] {
    auto made = model(1, false, 3);
    made.checkpoint_activations(true);
    return made;
  };
  expect_as_alone(of_pairs(make_loss("infonce"), checkpointed), how(4, 6), "checkpointed activations");
  const auto large_table = [] {
    auto config = model().config();
    config.text.vocab_size = 20'000;  // of which a batch reads so few rows that their gradient is sparse
    return DualEncoder::create(config, model().tokenizer(), 1);
  };
  expect_as_alone(of_pairs(make_loss("infonce"), large_table), how(4, 6), "sparse table");
}

/// Each rank has the statistics of its rows, as one process has those of its micro-batches.
TEST_F(RankOfRun, DISABLED_BatchNorm) {
  if (number_or(0, "VLALIGN_RANKED_STEPS") > 10)
    GTEST_SKIP() << "a colour's channels hardly vary: their roundings grow, as those of another thread count do";
  const auto pairs = many_pairs(8);
  const auto resnet = [&](const TrainerOptions& with) {
    return fit(model(1, true), make_loss("infonce"), with, pairs);
  };
  auto o = how(3, 8 * ranks_->size());
  o.ranks = *ranks_;
  const auto job = resnet(o);
  if (ranks_->rank() > 0) return;
  o.ranks = Ranks();
  o.micro_batch = 8;
  expect_same_run(job, resnet(o), "batch norm");
}

/// Each rank has those of all rows, as one process has, and the running ones too.
TEST_F(RankOfRun, DISABLED_SharedBatchNorm) {
  auto o = how(4, 7);
  o.learning_rate = 3e-4;
  o.sync_batch_norm = true;
  const auto resnet = [this](const TrainerOptions& with) {
    const auto trained = model(1, true);
    auto outcome = fit(trained, make_loss("infonce"), with, pairs_);
    for (const auto& item : trained.module()->named_buffers()) outcome.weights[item.key()] = item.value().clone();
    return outcome;
  };
  // Of seven rows a channel's variance can be so small that a rounding grows; nn's tests have it in float64.
  expect_as_alone(resnet, o, "shared batch norm", /*accuracy=*/true, /*error=*/1e-4);
}

TEST_F(RankOfRun, DISABLED_APolicyWithAnAlignmentBeside) {
  const std::shared_ptr<const EpisodeSource> bars = std::make_shared<test::GrowingBars>();
  for (const auto* head : {"mse", "flow_matching"}) {
    const auto train_policy = [&](const TrainerOptions& o) {
      vla::PolicyConfig config{.fusion = "text_queries", .head = head, .actions = {.horizon = 3}, .width = 32};
      vla::measure_ranges(bars, config);
      const auto policy = vla::Policy::create(model(), config, 1);
      Outcome outcome;
      vla::PolicyTrainer trainer(
          policy, o,
          vla::AlignmentBeside{.loss = make_loss("infonce"), .pairs = pairs_, .weight = 0.5, .batch_size = 5});
      trainer.on_step([&](const StepResult& step) { outcome.steps.push_back(step); });
      outcome.summary = trainer.fit(bars);
      outcome.weights = copies_of(*policy.module());
      return outcome;
    };
    auto o = how(4, 7);
    o.augmentation = {};
    expect_as_alone(train_policy, o, head);
  }
}

/// Four of the twelve records are bad, and without shuffling all of one rank's in the first batch.
TEST_F(RankOfRun, DISABLED_BadRecordsAreTheJobs) {
  const auto pairs = dirty_pairs();
  auto o = how(5, 8);
  o.shuffle = false;
  o.epochs = 1;
  Outcome last;
  const auto run = [&](const TrainerOptions& with) {
    last = fit(model(), make_loss("infonce"), with, pairs);
    EXPECT_EQ(last.summary.bad_records.size(), 4U);
    EXPECT_EQ(last.steps.front().samples_seen, 4);
    return last;
  };
  expect_as_alone(run, o, "bad records");
  o.shuffle = true;
  o.batch_size = 6;
  expect_as_alone([&](const auto& with) { return fit(model(), make_loss("filip"), with, pairs); }, o, "shuffled");

  // The one rank without a good picture puts nothing into the statistics of all.
  o = how(1, 8);
  o.shuffle = false;
  o.learning_rate = 3e-4;
  o.sync_batch_norm = true;
  const auto with_norms = [&](const TrainerOptions& with) {
    const auto trained = model(1, true);
    auto outcome = fit(trained, make_loss("infonce"), with, pairs);
    for (const auto& item : trained.module()->named_buffers()) outcome.weights[item.key()] = item.value().clone();
    return outcome;
  };
  expect_as_alone(with_norms, o, "shared batch norm", /*accuracy=*/true, /*error=*/1e-4);
}

/// Each rank gets all rows, where one share holds bad pictures only.
TEST_F(RankOfRun, DISABLED_EmbedsAShareEach) {
  const auto pairs = dirty_pairs();
  const auto trained = model();
  const auto job = embed_pairs(trained, pairs, {.batch_size = 2, .ranks = *ranks_});
  const auto alone = embed_pairs(trained, pairs, {.batch_size = 2});
  EXPECT_EQ(job.records, alone.records);
  EXPECT_EQ(job.names, alone.names);
  if (ranks_->rank() == 0) {  // which met them; the others have their pictures in another folder
    EXPECT_EQ(job.bad, alone.bad);
  }
  EXPECT_EQ(job.bad.size(), 4U);
  EXPECT_LT((job.image - alone.image).abs().max().item<double>(), 1e-6);
  EXPECT_LT((job.text - alone.text).abs().max().item<double>(), 1e-6);
  ranks_->barrier();
}

/// Several captions a picture, and fewer pictures than neighbours that are looked for.
TEST_F(RankOfRun, DISABLED_SearchesAShareEach) {
  for (const std::int64_t pictures : {1, 7, 300}) {
    at::manual_seed(5);
    Embeddings e{.image = l2_normalize(at::randn({pictures, 8})),
                 .text = {},
                 .image_of_text = {},
                 .records = {},
                 .names = {},
                 .captions = {},
                 .bad = {}};
    for (std::int64_t i = 0; i < 2 * pictures; ++i) e.image_of_text.push_back(i * 11 % pictures);
    e.text = e.image.index_select(0, at::tensor(e.image_of_text, at::kLong)) + 0.5 * at::randn({2 * pictures, 8});
    e.text = l2_normalize(e.text);
    e.text[0].copy_(e.text[1]);  // a tie
    EXPECT_EQ(to_json(evaluate_retrieval(e, *ranks_)), to_json(evaluate_retrieval(e))) << pictures;
  }
}

TEST_F(RankOfRun, DISABLED_ARunGoesOnOnAnyNumberOfRanks) {
  const TempFolder own;
  const auto shared = std::filesystem::path(ranks_->gather(own.path().string()).front());
  auto o = how(3, 6);
  o.ema_decay = 0.9;
  const auto train_in = [&](const char* name, std::int64_t steps, const Ranks& ranks) {
    o.out = shared / name;
    o.steps = 8;
    o.resume = true;
    o.ranks = ranks;
    const auto trained = model();
    Trainer trainer(trained, make_loss("infonce"), o);
    Outcome outcome;
    trainer.on_step([&](const StepResult& step) {
      outcome.steps.push_back(step);
      if (step.step == steps && ranks.rank() == ranks.size() - 1) trainer.stop();  // one says so, all stop
    });
    outcome.summary = trainer.fit(pairs_);
    EXPECT_EQ(outcome.summary.stopped, steps < 8);
    EXPECT_EQ(outcome.steps.back().step, steps);
    outcome.weights = copies_of(*trained.module());
    return outcome;
  };
  const auto whole = train_in("whole", 8, *ranks_);
  train_in("resumed", 3, *ranks_);
  const auto resumed = train_in("resumed", 8, *ranks_);
  for (const auto& [name, value] : whole.weights) EXPECT_TRUE(resumed.weights.at(name).equal(value)) << name;

  train_in("handed on", 3, *ranks_);
  if (ranks_->rank() == 0) {
    auto alone = train_in("handed on", 8, Ranks());
    alone.steps.insert(alone.steps.begin(), whole.steps.begin(), whole.steps.begin() + 3);
    expect_same_run(alone, whole, "from many to one");
    train_in("taken over", 3, Ranks());
  }
  ranks_->barrier();
  auto many = train_in("taken over", 8, *ranks_);
  many.steps.insert(many.steps.begin(), whole.steps.begin(), whole.steps.begin() + 3);
  expect_same_run(many, whole, "from one to many");
  ranks_->barrier();
}

/// The weights are those of whole moments, whatever is trained and wherever the run goes on.
TEST_F(RankOfRun, DISABLED_ShardedMoments) {
  const auto large_table = [] {
    auto config = model().config();
    config.text.vocab_size = 20'000;
    return DualEncoder::create(config, model().tokenizer(), 1);
  };
  const auto with_adapter = [] {
    auto adapted = model();
    add_lora(adapted, {.rank = 2}, 3);
    return adapted;
  };
  const std::vector<std::function<DualEncoder()>> makers{large_table, with_adapter, [] { return model(1, true); }};
  for (const auto& make : makers) {
    auto o = how(4, 6);
    o.ranks = *ranks_;
    o.sync_batch_norm = true;
    const auto run = of_pairs(make_loss("infonce"), make);
    const auto whole = run(o);
    o.shard_optimizer = true;
    const auto sharded = run(o);
    EXPECT_EQ(sharded.summary.skipped_steps, 0);
    for (const auto& [name, value] : whole.weights) EXPECT_TRUE(sharded.weights.at(name).equal(value)) << name;
  }
  for (const auto* optimizer : {"lamb", "lion", "muon"}) {
    auto o = how(4, 6);
    o.ranks = *ranks_;
    o.optimizer = parse_optimizer(optimizer);
    const auto whole = of_pairs()(o);
    o.shard_optimizer = true;
    const auto sharded = of_pairs()(o);
    for (const auto& [name, value] : whole.weights)
      EXPECT_TRUE(sharded.weights.at(name).equal(value)) << optimizer << ": " << name;
  }
}

/// A checkpoint is whole, whoever wrote it: with sharded moments or without, on one rank or on all.
TEST_F(RankOfRun, DISABLED_ShardedMomentsGoOnAsWholeOnes) {
  const TempFolder own;
  const auto shared = std::filesystem::path(ranks_->gather(own.path().string()).front());
  const auto train_in = [&](const std::string& name, std::int64_t steps, const Ranks& ranks, bool shard) {
    auto o = how(8, 6);
    o.out = shared / name;
    o.resume = true;
    o.ranks = ranks;
    o.shard_optimizer = shard;
    const auto trained = model();
    Trainer trainer(trained, make_loss("infonce"), o);
    trainer.on_step([&](const StepResult& step) {
      if (step.step == steps) trainer.stop();
    });
    trainer.fit(pairs_);
    return copies_of(*trained.module());
  };
  const auto expect_equal = [](const Tensors& a, const Tensors& b, const std::string& what) {
    for (const auto& [name, value] : a) EXPECT_TRUE(b.at(name).equal(value)) << what << ": " << name;
  };
  const auto whole = train_in("whole", 8, *ranks_, false);
  train_in("to whole", 3, *ranks_, true);
  expect_equal(train_in("to whole", 8, *ranks_, false), whole, "to whole");
  train_in("to shards", 3, *ranks_, false);
  expect_equal(train_in("to shards", 8, *ranks_, true), whole, "to shards");

  if (ranks_->rank() == 0) {
    for (const auto* name : {"one to whole", "one to shards"}) train_in(name, 3, Ranks(), true);
  }
  ranks_->barrier();
  expect_equal(train_in("one to shards", 8, *ranks_, true), train_in("one to whole", 8, *ranks_, false), "from one");

  for (const bool shard : {true, false}) train_in(fmt::format("{} to one", shard), 3, *ranks_, shard);
  if (ranks_->rank() == 0)
    expect_equal(train_in("true to one", 8, Ranks(), false), train_in("false to one", 8, Ranks(), true), "to one");
  ranks_->barrier();
}

/// Of docs/scale.md, also where the batch is taken in pieces.
TEST_F(RankOfRun, DISABLED_AStepSendsWhatTheFormulaSays) {
  const double size = ranks_->size(), batch = 24, width = 16;
  double parameters = 0;
  for (const auto& parameter : model().module()->parameters()) parameters += static_cast<double>(parameter.numel());
  const auto formula = 8 * (batch / size) * width * (size - 1) + 16 * batch * width * (size - 1) / size +
                       8 * parameters * (size - 1) / size;
  const auto many = many_pairs(3);
  for (const std::int64_t micro_batch : {0, 2}) {
    const auto bytes_of = [&](std::int64_t steps) {
      auto o = how(steps, static_cast<std::int64_t>(batch));
      o.micro_batch = micro_batch;
      o.ranks = *ranks_;
      const auto before = ranks_->bytes_sent();
      fit(model(), make_loss("infonce"), o, many);
      return static_cast<double>(ranks_->bytes_sent() - before);
    };
    const auto first = bytes_of(1);
    EXPECT_NEAR((bytes_of(3) - first) / 2 / formula, 1.0, 0.02) << "micro-batch " << micro_batch;
  }
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(RankOfRun, DISABLED_WhatDiffersIsNamedBeforeTheFirstStep) {
  const auto refusal = [&](const std::function<void(TrainerOptions&)>& change, std::uint64_t seed = 1) {
    auto o = how(2, 6);
    o.ranks = *ranks_;
    if (ranks_->rank() == 1) change(o);
    return error_of([&] { fit(model(ranks_->rank() == 1 ? seed : 1), make_loss("infonce"), o, pairs_); });
  };
  const auto names = [](const std::string& refusal, const std::string& what) {
    return refusal.find("they are not about the same run") != std::string::npos &&
           refusal.find(what) != std::string::npos && refusal.find("rank 1 on host") != std::string::npos;
  };
  const auto other_seed = refusal([](auto& o) { o.seed = 8; });
  EXPECT_TRUE(names(other_seed, "/seed is 7 on rank 0")) << other_seed;
}

TEST_F(RankOfRun, DISABLED_AnErrorOnOneRankEndsAll) {
  auto o = how(50, 6);
  o.ranks = *ranks_;
  Trainer trainer(model(), make_loss("infonce"), o);
  trainer.on_step([&](const StepResult& step) {
    if (step.step == 2 && ranks_->rank() == 1) throw std::runtime_error("the arm fell off");
  });
  const auto why = error_of([&] { trainer.fit(pairs_); });
  EXPECT_NE(why.find("the arm fell off"), std::string::npos) << why;
  EXPECT_EQ(why.find("rank 1 on host") != std::string::npos, ranks_->rank() == 0) << why;
}

// ---- who starts them ----

void expect_all_well(int usual_size, const std::string& test) {
  const int size = number_or(usual_size, "VLALIGN_RANKED_SIZE");
  for (const auto& end : test::run_job(size, "RankOfRun.DISABLED_" + test)) EXPECT_EQ(end.status, 0) << end.said;
}

TEST(RankedRun, EveryLossIsThatOfOneProcess) {
  expect_all_well(2, "EveryLossOfPairs");
  expect_all_well(2, "EveryLossOnVideo");
  expect_all_well(3, "ALossOfOnesOwnAndTargets");
  expect_all_well(2, "SigmoidLossOfALargeBatch");
}

TEST(RankedRun, TrainsAsOneProcessWhateverATowerIsAndWhateverTrains) {
  expect_all_well(2, "WhateverATowerIsAndWhateverTrains");
  expect_all_well(2, "BatchNorm");
  expect_all_well(3, "SharedBatchNorm");
  expect_all_well(2, "APolicyWithAnAlignmentBeside");
}

TEST(RankedRun, SendsWhatTheFormulaSays) {
  for (const int size : {2, 4}) expect_all_well(size, "AStepSendsWhatTheFormulaSays");
}

TEST(RankedRun, EmbedsAndSearchesAsOneProcess) {
  expect_all_well(3, "EmbedsAShareEach");
  expect_all_well(2, "SearchesAShareEach");
  expect_all_well(3, "SearchesAShareEach");
}

TEST(RankedRun, CountsBadRecordsOnce) { expect_all_well(2, "BadRecordsAreTheJobs"); }

TEST(RankedRun, GoesOnOnAnyNumberOfRanks) { expect_all_well(2, "ARunGoesOnOnAnyNumberOfRanks"); }

TEST(RankedRun, HasTheSameWeightsWithShardedMoments) {
  for (const int size : {2, 3}) expect_all_well(size, "ShardedMoments");
}

TEST(RankedRun, GoesOnWithShardedMomentsOrWithout) {
  for (const int size : {2, 4}) expect_all_well(size, "ShardedMomentsGoOnAsWholeOnes");
}

TEST(RankedRun, EndsOnAllRanksWithWhatIsWrongOnOne) {
  expect_all_well(2, "WhatDiffersIsNamedBeforeTheFirstStep");
  expect_all_well(2, "AnErrorOnOneRankEndsAll");
}

}  // namespace
}  // namespace vlalign::ranked_run_test
