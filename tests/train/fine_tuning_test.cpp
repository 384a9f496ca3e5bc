#include "vlalign/train/fine_tuning.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "model/peers/peer_names.hpp"
#include "support/colours.hpp"
#include "train/freezing.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/model/lora.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/lora.hpp"

namespace vlalign::fine_tuning_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

using Names = std::set<std::string>;
using Tensors = std::map<std::string, at::Tensor>;

/// Copies of all parameters and buffers, under our names.
Tensors copies_of(const DualEncoder& model) {
  Tensors all;
  for (const auto& item : model.module()->named_parameters()) all[item.key()] = item.value().detach().clone();
  for (const auto& item : model.module()->named_buffers()) all[item.key()] = item.value().clone();
  return all;
}

class FineTunedColours : public test::Colours {
 protected:
  /// The tensors whose bits 20 steps change.
  Names moved_by(const DualEncoder& trained, const FineTuning& how) const {
    const auto before = copies_of(trained);
    auto training = options(20);
    training.fine_tuning = how;
    train(trained, training);
    Names moved;
    for (const auto& [name, tensor] : copies_of(trained)) {
      if (!tensor.equal(before.at(name))) moved.insert(name);
    }
    return moved;
  }

  static Names names(const DualEncoder& of, const std::function<bool(const std::string&)>& chosen) {
    Names all;
    for (const auto& [name, tensor] : copies_of(of)) {
      if (chosen(name)) all.insert(name);
    }
    return all;
  }
};

bool begins(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) { return name.starts_with(prefix); });
}

bool is_statistic(const std::string& name) { return name.ends_with("running_mean") || name.ends_with("running_var"); }
bool is_count(const std::string& name) { return name.ends_with("num_batches_tracked"); }

TEST_F(FineTunedColours, EverythingMovesWithoutFineTuning) {
  const auto trained = model(1, false, 2);
  EXPECT_EQ(moved_by(trained, {}), names(trained, [](const auto&) { return true; }));
}

TEST_F(FineTunedColours, FrozenPatternsStayToTheBitAndTheRestMoves) {
  const auto trained = model(1, false, 2);
  const auto moved = moved_by(trained, {.freeze = {"text.*", "*positional_embedding",
                                                   "visual.transformer.resblocks.?.mlp.c_fc.weight", "logit_scale"}});
  EXPECT_EQ(moved, names(trained, [](const std::string& name) {
              return !begins(name, {"text.", "logit_scale", "visual.positional_embedding"}) &&
                     name != "visual.transformer.resblocks.0.mlp.c_fc.weight" &&
                     name != "visual.transformer.resblocks.1.mlp.c_fc.weight";
            }));
}

TEST_F(FineTunedColours, ALockedImageTowerMovesInItsLastGroupsOnly) {
  const std::vector<std::vector<const char*>> unlocked{
      {}, {"image_projection."}, {"image_projection.", "visual.transformer.resblocks.1.", "visual.ln_post."}};
  for (std::size_t groups = 0; groups < unlocked.size(); ++groups) {
    const auto trained = model(1, false, 2);
    const auto moved = moved_by(trained, {.lock_image = static_cast<std::int64_t>(groups)});
    EXPECT_EQ(moved, names(trained,
                           [&](const std::string& name) {
                             bool moves = begins(name, {"text", "logit_scale"});
                             for (const auto* prefix : unlocked[groups]) moves = moves || name.starts_with(prefix);
                             return moves;
                           }))
        << groups;
  }
}

TEST_F(FineTunedColours, BothTowersLockedLeaveTheirLastGroupsAndTheScale) {
  const auto trained = model(1, false, 2);
  auto moved = moved_by(trained, {.lock_image = 1, .lock_text = 2});
  EXPECT_EQ(moved, names(trained, [](const std::string& name) {
              return begins(name, {"image_projection.", "text_projection.", "text.transformer.resblocks.1.",
                                   "text.ln_final.", "logit_scale"});
            }));
  moved = moved_by(trained, {.lock_image = 0, .lock_text = 0});
  EXPECT_EQ(moved, Names{"logit_scale"});
}

TEST_F(FineTunedColours, LockedTowersTrainInPiecesToo) {
  auto how = options(20);
  how.fine_tuning = {.lock_image = 0, .lock_text = 0};
  how.micro_batch = 3;
  const auto trained = model();
  const auto before = copies_of(trained);
  train(trained, how);
  for (const auto& [name, tensor] : copies_of(trained)) {
    EXPECT_EQ(tensor.equal(before.at(name)), name != "logit_scale") << name;
  }
}

/// open_clip's lock_image_tower() and lock_text_tower() on the model of fixtures/model/vit.
TEST(FineTuning, LocksTheParametersThatThePeerLocks) {
  const auto fixtures = fs::path(VLALIGN_FIXTURES);
  const auto expected = nlohmann::json::parse(read_file(fixtures / "fine_tuning" / "trainable.json"));
  const auto tokenizer = std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{});
  for (const auto* tower : {"image", "text"}) {
    for (std::int64_t unlocked = 0; unlocked <= 4; ++unlocked) {
      const auto model =
          DualEncoder::create(read_model_config(fixtures / "model" / "vit" / "open_clip_config.json"), tokenizer);
      const auto& module = *model.module();
      FineTuning how;
      (std::string(tower) == "image" ? how.lock_image : how.lock_text) = unlocked;
      const Freezing freezing(module, {module, ""}, how);
      at::NoGradGuard no_grad;  // 1 where it trains, to be found again under the peer's names
      for (const auto& parameter : module.parameters()) parameter.fill_(parameter.requires_grad() ? 1.0 : 0.0);
      std::vector<std::string> trainable;
      for (const auto& [name, tensor] : peer_tensors(module, naming_schemes(model.config(), Layout::open_clip))) {
        if (tensor.min().item<double>() == 1.0) trainable.push_back(name);
      }
      EXPECT_EQ(trainable, expected.at(tower).at(static_cast<std::size_t>(unlocked)).get<std::vector<std::string>>())
          << tower << " " << unlocked;
    }
  }
}

TEST_F(FineTunedColours, ALockedResNetKeepsItsStatisticsOnlyIfAsked) {
  const auto plain = model(1, true);
  EXPECT_EQ(moved_by(plain, {.lock_image = 0}), names(plain, [](const std::string& name) {
              return begins(name, {"text", "logit_scale"}) || is_statistic(name) || is_count(name);
            }));
  const auto frozen = model(1, true);
  EXPECT_EQ(moved_by(frozen, {.lock_image = 0, .freeze_batch_norm = true}), names(frozen, [](const std::string& name) {
              return begins(name, {"text", "logit_scale"});
            }));
  const auto partly = model(1, true);  // the last groups: stage 4 with the attention pool, the projection
  EXPECT_EQ(moved_by(partly, {.lock_image = 2, .freeze_batch_norm = true}), names(partly, [](const std::string& name) {
              return begins(name, {"text", "logit_scale", "image_projection", "visual.layer4.", "visual.attnpool."});
            }));
}

TEST_F(FineTunedColours, FrozenBatchNormsAloneLeaveTheConvolutionsToTrain) {
  const auto trained = model(1, true);
  {
    at::NoGradGuard no_grad;  // a block that isn't the identity, so that all its convolutions get a gradient
    for (const auto& item : trained.module()->named_parameters()) {
      if (item.key().ends_with("bn3.weight")) item.value().fill_(0.5);
    }
  }
  EXPECT_EQ(moved_by(trained, {.freeze_batch_norm = true}), names(trained, [](const std::string& name) {
              const bool norm = name.find(".bn") != name.npos || name.find("downsample.1.") != name.npos;
              return !norm;
            }));
}

TEST_F(FineTunedColours, TheModelIsFreeAgainAfterTheRun) {
  const auto trained = model(1, true);
  moved_by(trained, {.freeze = {"text.*"}, .lock_image = 0, .freeze_batch_norm = true});
  auto everything = names(trained, [](const auto&) { return true; });
  EXPECT_EQ(moved_by(trained, {}), everything);
}

/// AdamW's first step is lr * g / (|g| + eps): the learning rate itself, wherever there is a gradient.
TEST_F(FineTunedColours, LayerDecayGivesEachGroupItsPowerOfTheLearningRate) {
  const auto trained = model(1, false, 2);
  const auto before = copies_of(trained);
  auto how = options(1);
  how.learning_rate = 1e-3;
  how.schedule.warmup = 0;
  how.optimizer = AdamWOptions{.eps = 1e-12, .weight_decay = 0.0};
  how.fine_tuning.layer_decay = 0.5;
  train(trained, how);
  const auto groups_above = [](const std::string& name) {
    if (begins(name, {"image_projection", "text_projection", "logit_scale"})) return 0;
    if (begins(name, {"visual.ln_post", "text.ln_final"}) || name.find("resblocks.1.") != name.npos) return 1;
    return name.find("resblocks.0.") != name.npos ? 2 : 3;
  };
  for (const auto& [name, tensor] : copies_of(trained)) {
    const auto step = (tensor - before.at(name)).abs().max().item<double>();
    EXPECT_NEAR(step, 1e-3 * std::pow(0.5, groups_above(name)), 1e-6) << name;
  }
}

TEST_F(FineTunedColours, ALayerDecayOfZeroMovesProjectionsAndScaleOnly) {
  const auto trained = model(1, false, 2);
  EXPECT_EQ(moved_by(trained, {.layer_decay = 0.0}), names(trained, [](const std::string& name) {
              return begins(name, {"image_projection", "text_projection", "logit_scale"});
            }));
}

TEST_F(FineTunedColours, WhatCannotWorkIsNamed) {
  const auto trained = model();  // one block: stem, block, projection
  const auto complaint = [&](const FineTuning& how) { return message_of<Error>([&] { moved_by(trained, how); }); };
  EXPECT_EQ(complaint({.freeze = {"text.*", "vision.*"}}),
            "[FineTuning] freeze: no parameter fits \"vision.*\"; `vlalign inspect --parameters` lists them");
  EXPECT_EQ(complaint({.lock_image = 4}), "[FineTuning] lock_image: expected 0 to 3 unlocked groups, got 4");
  EXPECT_EQ(complaint({.lock_text = -1}), "[FineTuning] lock_text: expected 0 to 3 unlocked groups, got -1");
  EXPECT_EQ(complaint({.layer_decay = 1.5}), "[FineTuning] layer_decay: expected 0 to 1, got 1.5");
  EXPECT_EQ(complaint({.freeze = {"*"}}), "[Trainer] every parameter of the model is frozen");
  for (const auto& parameter : trained.module()->parameters()) EXPECT_TRUE(parameter.requires_grad());
}

TEST_F(FineTunedColours, AResumedRunMustFreezeTheSame) {
  const TempFolder runs;
  auto how = options(2);
  how.out = runs.path() / "run";
  how.fine_tuning.freeze = {"text.*"};
  train(model(), how);
  how.resume = true;
  how.fine_tuning.freeze = {};
  EXPECT_NE(message_of<Error>([&] { train(model(), how); }).find("fine_tuning.freeze was [\"text.*\"]"),
            std::string::npos);
}

TEST_F(FineTunedColours, AnAdapterMovesAndItsModelDoesNot) {
  const auto trained = model(1, false, 2);
  add_lora(trained, {.rank = 2, .train = {"logit_scale"}});
  EXPECT_EQ(moved_by(trained, {}), names(trained, [](const std::string& name) {
              return name.find(".lora.") != name.npos || name == "logit_scale";
            }));
}

TEST_F(FineTunedColours, AnAdapterLearnsTheColours) {
  auto how = options(150);
  how.batch_size = 8;
  how.learning_rate = 1e-2;
  const auto trained = model();
  add_lora(trained, {.rank = 4, .alpha = 8, .train = {"logit_scale"}});
  EXPECT_LT(train(trained, how).last.loss, 0.7);  // ln 8 = 2.08
}

TEST_F(FineTunedColours, AMergedAdapterIsNotTrained) {
  const auto trained = model();
  add_lora(trained, {});
  merge_lora(trained);
  EXPECT_EQ(message_of<Error>([&] { train(trained, options(2)); }),
            "[Trainer] the model's adapter is merged: call unmerge_lora() first");
}

TEST_F(FineTunedColours, ModelFoldersHoldTheMergedModelAndTheAdapter) {
  const TempFolder runs;
  auto how = options(20);
  how.out = runs.path() / "run";
  auto trained = model();
  add_lora(trained, {.rank = 2});
  train(trained, how);
  at::NoGradGuard no_grad;
  const auto pixels = at::rand({2, 3, 32, 32});
  for (const auto* folder : {"model", "checkpoints/step-00000020"}) {
    const auto read = DualEncoder::load(how.out / folder);
    EXPECT_LT((read.encode_image(pixels) - trained.encode_image(pixels)).abs().max().item<double>(), 1e-5) << folder;
    EXPECT_TRUE(fs::exists(how.out / folder / "adapter.safetensors")) << folder;
  }
}

TEST_F(FineTunedColours, ARunWithAdapterAndAverageResumesToTheSameBits) {
  const TempFolder runs;
  auto how = options(9);
  how.checkpoints.every = 2;
  how.ema_decay = 0.9;
  how.fine_tuning = {.freeze = {"text.*"}, .layer_decay = 0.7};
  const auto adapted = [&](std::uint64_t seed) {
    auto made = model(seed);
    add_lora(made, {.rank = 2, .train = {"image_projection.*", "logit_scale"}}, seed);
    return made;
  };
  how.out = runs.path() / "whole";
  const auto whole = adapted(1);
  train(whole, how);

  how.out = runs.path() / "stopped";
  Trainer stopped(adapted(1), InfoNCE(), how);
  stopped.on_step([](const StepResult& r) {
    if (r.step == 5) throw std::runtime_error("pulled the plug");
  });
  EXPECT_THROW(stopped.fit(pairs_), std::runtime_error);
  how.resume = true;
  const auto resumed = adapted(99);
  train(resumed, how);

  const auto expected = copies_of(whole);
  for (const auto& [name, tensor] : copies_of(resumed)) EXPECT_TRUE(tensor.equal(expected.at(name))) << name;
  for (const auto* file : {"model/open_clip_model.safetensors", "model/adapter.safetensors",
                           "model-ema/open_clip_model.safetensors", "model-ema/adapter.safetensors"}) {
    EXPECT_EQ(read_file(runs.path() / "whole" / file), read_file(how.out / file)) << file;
  }
  EXPECT_NE(read_file(how.out / "model" / "open_clip_model.safetensors"),
            read_file(how.out / "model-ema" / "open_clip_model.safetensors"));
}

/// d^n w_0 + (1 - d) sum_k d^(n - k) w_k, in double.
TEST_F(FineTunedColours, TheAveragedModelFollowsTheFormula) {
  constexpr double decay = 0.8;
  for (const bool resnet : {false, true}) {
    const TempFolder runs;
    auto how = options(12);
    how.out = runs.path() / "run";
    how.ema_decay = decay;
    const auto trained = model(1, resnet);
    const auto schemes = naming_schemes(trained.config(), Layout::open_clip);
    Tensors expected;
    const auto add = [&](double weight) {
      for (const auto& [name, tensor] : peer_tensors(*trained.module(), schemes)) {
        const auto share = tensor.to(at::kDouble) * weight;
        expected[name] = expected.contains(name) ? expected[name] + share : share;
      }
    };
    add(std::pow(decay, 12));
    Trainer trainer(trained, InfoNCE(), how);
    trainer.on_step([&](const StepResult& r) { add((1 - decay) * std::pow(decay, static_cast<double>(12 - r.step))); });
    trainer.fit(pairs_);
    const auto averaged = read_safetensors(how.out / "model-ema" / "open_clip_model.safetensors").tensors;
    ASSERT_EQ(averaged.size(), expected.size());
    for (const auto& [name, tensor] : averaged) {
      if (!tensor.is_floating_point()) continue;
      EXPECT_LT((tensor - expected.at(name)).abs().max().item<double>(), 2e-6) << name;
    }
  }
}

TEST_F(FineTunedColours, TheAverageLeavesTheTrainingAlone) {
  const TempFolder runs;
  auto how = options(6);
  const auto plain = model(), averaged = model();
  train(plain, how);
  how.ema_decay = 0.5;
  how.checkpoints.every = 2;
  how.out = runs.path() / "run";
  train(averaged, how);
  expect_equal_bits(plain, averaged);
  how = options(6);
  how.ema_decay = 1.0;
  EXPECT_EQ(message_of<Error>([&] { train(model(), how); }), "[Trainer] ema_decay: expected 0 to below 1, got 1");
}

}  // namespace
}  // namespace vlalign::fine_tuning_test
