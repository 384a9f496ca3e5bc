// NaN and infinity on their way to a robot: refused where they come in, and never given out as an action.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "small_policy.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/head/make_head.hpp"
#include "vlalign/vla/live_policy.hpp"
#include "vlalign/vla/temporal_ensemble.hpp"

namespace vlalign::vla::bad_numbers_test {
namespace {

using test::config_of;
using test::towers;
using vlalign::test::message_of;
using vlalign::test::TempFolder;
using Action = std::vector<float>;
using OnBad = LivePolicyOptions::OnBad;

constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
constexpr const char* words = "push the cup";

Policy policy_of(const std::string& head, const std::string& fusion = "text_queries") {
  auto policy = Policy::create(towers(), config_of(fusion, head), 3);
  policy.train(false);
  return policy;
}

LivePolicy live(Policy policy, const LivePolicyOptions& options = {}) {
  LivePolicy robot(std::move(policy), options);
  robot.set_instruction(words);
  return robot;
}

Image frame(int which) {
  Image image{50, 40, std::vector<std::uint8_t>(3 * 50 * 40)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>((i * 13 + static_cast<std::size_t>(which) * 7919) % 251);
  return image;
}

const Action untouched{-7, -7};

/// What act() leaves in an action of untouched numbers, with its error, if any, in `error`.
Action act(LivePolicy& robot, int which, const Action& state, std::string* error = nullptr) {
  auto action = untouched;
  const auto image = frame(which);
  try {
    robot.act(ImageView(image), state, action);
  } catch (const Error& thrown) {
    if (!error) throw;
    *error = thrown.what();
  }
  return action;
}

Action state_of(int step) { return {0.5F * static_cast<float>(step), 1, -1, 2}; }

void fill(const Policy& policy, const std::string& name, float value) {
  const at::NoGradGuard no_graph;
  policy.module()->named_parameters()[name].view(-1)[0].fill_(value);
}

class BadNumbersOf : public testing::TestWithParam<std::string> {};

TEST_P(BadNumbersOf, InAWeightAreNoAction) {
  for (const float bad : {nan, infinity}) {
    for (const auto* weight : {"head.mlp.in.weight", "head.mlp.out.bias", "fusion.visual_proj.weight", "positions"}) {
      const auto policy = policy_of(GetParam());
      auto robot = live(policy);
      act(robot, 0, state_of(0));
      fill(policy, weight, bad);
      std::string error;
      EXPECT_EQ(act(robot, 1, state_of(1), &error), untouched) << weight;
      EXPECT_EQ(error, "[LivePolicy] the predicted actions aren't finite") << weight;
      EXPECT_EQ(message_of<Error>([&] { LivePolicy{policy}; }),
                "[LivePolicy] " + std::string(weight) + ": expected finite weights, got NaN or infinity");
      const auto text = policy.read(at::full({1, 3}, 5, at::kLong));
      const auto complaint = message_of<Error>([&] {
        policy.act(at::zeros({1, 3, 32, 32}, at::kByte), text, at::zeros({1, 4}), Precision::fp32,
                   at::detail::createCPUGenerator(1));
      });
      EXPECT_EQ(complaint, "[Policy] the actions of row 0 aren't finite: pixels, state or weights are NaN or infinite");
    }
  }
}

TEST_P(BadNumbersOf, InAStateAreAnErrorThatChangesNothing) {
  for (const LivePolicyOptions& options : {LivePolicyOptions{.execute = 3}, LivePolicyOptions{.ensemble = 0.1}}) {
    auto robot = live(policy_of(GetParam()), options), undisturbed = live(policy_of(GetParam()), options);
    for (int step = 0; step < 5; ++step) {
      std::string error;
      const Action bad{0, step % 2 == 0 ? nan : -infinity, 0, 0};
      EXPECT_EQ(act(robot, 99, bad, &error), untouched);
      EXPECT_EQ(error, step % 2 == 0 ? "[LivePolicy] state: expected finite numbers, got [0, nan, 0, 0]"
                                     : "[LivePolicy] state: expected finite numbers, got [0, -inf, 0, 0]");
      EXPECT_EQ(act(robot, step, state_of(step)), act(undisturbed, step, state_of(step))) << step;
    }
    EXPECT_EQ(robot.held(), 0);
    EXPECT_EQ(robot.latency().whole.count(), undisturbed.latency().whole.count());
  }
}

TEST_P(BadNumbersOf, AreHeldOverWhereThatIsAskedFor) {
  const LivePolicyOptions options{.ensemble = 0.1, .on_bad = OnBad::hold};
  auto robot = live(policy_of(GetParam()), options), undisturbed = live(policy_of(GetParam()), options);
  const Action bad{0, nan, 0, 0};
  std::string error;
  EXPECT_EQ(act(robot, 0, bad, &error), untouched) << "nothing to hold yet";
  EXPECT_EQ(error, "[LivePolicy] state: expected finite numbers, got [0, nan, 0, 0]");
  for (int step = 0; step < 4; ++step) {
    const auto good = act(robot, step, state_of(step));
    EXPECT_EQ(good, act(undisturbed, step, state_of(step)));
    EXPECT_EQ(act(robot, 99, bad), good);
    EXPECT_EQ(robot.held(), step + 1);
  }
  robot.reset();
  EXPECT_THROW(act(robot, 0, bad), Error) << "what was done in another episode isn't held";
}

std::vector<std::string> all_heads() { return {head_names().begin(), head_names().end()}; }
INSTANTIATE_TEST_SUITE_P(Heads, BadNumbersOf, testing::ValuesIn(all_heads()));

TEST(BadNumbers, OfAPredictionAreHeldOverAndCounted) {
  const auto policy = policy_of("bins");
  auto robot = live(policy, {.on_bad = OnBad::hold});
  const auto good = act(robot, 0, state_of(0));
  auto weight = policy.module()->named_parameters()["head.mlp.out.bias"];
  const auto before = weight.detach().clone();
  fill(policy, "head.mlp.out.bias", nan);
  EXPECT_EQ(act(robot, 1, state_of(1)), good);
  EXPECT_EQ(act(robot, 2, state_of(2)), good);
  EXPECT_EQ(robot.held(), 2);
  {
    const at::NoGradGuard no_graph;
    weight.copy_(before);
  }
  auto undisturbed = live(policy_of("bins"));
  act(undisturbed, 0, state_of(0));
  EXPECT_EQ(act(robot, 3, state_of(3)), act(undisturbed, 3, state_of(3)));
}

TEST(BadNumbers, OfAnInstructionLeaveTheOneBefore) {
  const auto policy = policy_of("l1");
  auto robot = live(policy), undisturbed = live(policy_of("l1"));
  const auto text = policy.encoder().module()->text;
  auto table = text->named_parameters()["token_embedding.weight"];
  const at::NoGradGuard no_graph;
  table.select(0, 'q' - '!').fill_(nan);  // of CLIP's first bytes, in the middle of a word
  EXPECT_EQ(message_of<Error>([&] { robot.set_instruction("aqa"); }),
            "[LivePolicy] instruction \"aqa\": its embedding isn't finite");
  table.select(0, 'q' - '!').fill_(0);
  EXPECT_EQ(act(robot, 0, state_of(0)), act(undisturbed, 0, state_of(0)));
}

TEST(BadNumbers, OfAChunkAreNotAveragedIntoLaterSteps) {
  TemporalEnsemble ensemble(2, 1, 0.0), undisturbed(2, 1, 0.0);
  Action action(1), expected(1);
  for (int step = 0; step < 3; ++step) {
    const Action chunk{static_cast<float>(step), static_cast<float>(2 * step)};
    ensemble.add(chunk), undisturbed.add(chunk);
    for (const float bad : {nan, infinity})
      EXPECT_EQ(message_of<Error>([&] {
                  ensemble.add(Action{1, bad});
                }),
                "[TemporalEnsemble] chunk: expected finite numbers, got NaN or infinity");
    ensemble.next(action), undisturbed.next(expected);
    EXPECT_EQ(action, expected);
  }
  for (const double m : {static_cast<double>(nan), static_cast<double>(infinity), -0.1})
    EXPECT_THROW(TemporalEnsemble(2, 1, m), Error) << m;
}

EpisodeBatch batch_of_three() {
  return {.pixels = at::randint(256, {3, 3, 32, 32}, at::kByte),
          .tokens = at::full({3, 4}, 5, at::kLong),
          .state = at::randn({3, 4}),
          .actions = at::randn({3, 3, 2}).clamp(-1, 1),
          .mask = at::ones({3, 3}, at::kBool)};
}

TEST_P(BadNumbersOf, InABatchAreAnErrorThatNamesTheRow) {
  const auto policy = policy_of(GetParam());
  const auto loss = [&](const EpisodeBatch& batch) {
    return policy.loss(batch, Precision::fp32, at::detail::createCPUGenerator(1));
  };
  for (const float bad : {nan, infinity}) {
    auto batch = batch_of_three();
    batch.state[2][1].fill_(bad);
    EXPECT_EQ(message_of<Error>([&] { loss(batch); }),
              "[Policy] state: expected finite numbers, got NaN or infinity in row 2");
    EXPECT_EQ(message_of<Error>([&] { policy.act(batch.pixels, policy.read(batch.tokens), batch.state); }),
              "[Policy] state: expected finite numbers, got NaN or infinity in row 2");
    batch = batch_of_three();
    batch.actions[1][2][0].fill_(bad);
    EXPECT_EQ(message_of<Error>([&] { loss(batch); }),
              "[Policy] actions: expected finite numbers, got NaN or infinity in row 1");
    batch.mask[1][2].fill_(false);  // behind the episode's end anything may stand
    const auto masked = loss(batch);
    batch.actions[1][2][0].fill_(0);
    EXPECT_TRUE(masked.equal(loss(batch)));
  }
}

TEST_P(BadNumbersOf, InActionsMakeAHeadsLossOne) {
  nn::Initializer initializer(1);
  const ActionShape shape{.horizon = 3, .dims = 2};
  const auto head = make_head(GetParam(), 6, shape, {at::randn({5, 7}), at::randn({5, 3, 2})}, initializer);
  for (const float bad : {nan, infinity}) {
    auto actions = at::randn({4, 3, 2}).clamp(-1, 1);
    actions[3][1][1].fill_(bad);
    const auto loss = head->loss(at::randn({4, 6}), actions, {}, at::detail::createCPUGenerator(1));
    EXPECT_FALSE(std::isfinite(loss.item<double>()));
  }
}

TEST(BadNumbers, InAConfigurationAreNamed) {
  const auto complaint = [](const auto& change) {
    auto config = config_of("text_queries", "l1");
    change(config);
    return message_of<Error>([&] { Policy::create(towers(), config); });
  };
  using C = PolicyConfig;
  EXPECT_EQ(complaint([](C& c) {
              c.state_mean = {0, nan, 0, 0};
            }),
            "[Policy] state_mean: expected finite numbers, got [0, nan, 0, 0]");
  EXPECT_EQ(complaint([](C& c) {
              c.state_std = {1, infinity, 1, 1};
            }),
            "[Policy] state_std: expected finite numbers, got [1, inf, 1, 1]");
  EXPECT_EQ(complaint([](C& c) {
              c.action_low = {-infinity, -1};
            }),
            "[Policy] action_low: expected finite numbers, got [-inf, -1]");
  EXPECT_EQ(complaint([](C& c) {
              c.action_high = {nan, 1};
            }),
            "[Policy] action_high: expected finite numbers, got [nan, 1]");
  EXPECT_EQ(complaint([](C& c) { c.phrases[1].actions[0] = nan; }),
            "[Policy] phrase \"go right\": expected finite actions, got [nan, 0, 1, 0, 1, 0]");
  const auto* ranges = "[Policy] expected action_high above action_low and state_std above 0 everywhere";
  EXPECT_EQ(complaint([](C& c) { c.state_std = {1, 1, 0, 1}; }), ranges);
  EXPECT_EQ(complaint([](C& c) { c.state_std = {1, 1, -1, 1}; }), ranges);
  EXPECT_EQ(complaint([](C& c) { c.action_low = {1, 1}; }), ranges);
  EXPECT_EQ(complaint([](C& c) {
              c.action_low = {-3e38F, -1};
              c.action_high = {3e38F, 1};
            }),
            ranges)
      << "the way from one to the other is infinite";
}

/// What load() says of a saved policy whose policy.json was changed.
template <typename Change>
std::string complaint_of_file(const Change& change) {
  const TempFolder folder;
  const auto place = folder.path() / "policy", file = place / "policy.json";
  policy_of("l1").save(place);
  auto config = nlohmann::json::parse(read_file(file));
  change(config);
  std::ofstream(file) << config.dump();
  auto complaint = message_of<Error>([&] { Policy::load(place); });
  const auto at = complaint.find(file.string());
  EXPECT_EQ(at, 0U) << complaint;
  return complaint.substr(std::min(complaint.size(), file.string().size()));
}

TEST(BadNumbers, InAPolicysFileAreNamed) {
  using J = nlohmann::json;
  EXPECT_EQ(complaint_of_file([](J& c) {
              c["state_mean"] = {0, 1e39, 0, 0};
            }),
            ": state_mean: expected finite numbers, got [0, inf, 0, 0]");
  EXPECT_EQ(complaint_of_file([](J& c) {
              c["state_std"] = {0, 1, 1, 1};
            }),
            ": expected action_high above action_low and state_std above 0 everywhere");
  EXPECT_EQ(complaint_of_file([](J& c) { c["state_dims"] = -1; }), ": state: expected 0 to 16384, got -1");
  EXPECT_EQ(complaint_of_file([](J& c) { c["state_dims"] = std::int64_t{1} << 60; }),
            ": state: expected 0 to 16384, got 1152921504606846976");
  EXPECT_EQ(complaint_of_file([](J& c) {
              c["state_mean"] = {0, nullptr, 0, 0};
            }),
            ".state_mean: not a value of the expected kind: [0,null,0,0]");
  EXPECT_EQ(complaint_of_file([](J& c) { c["fusion"] = 3; }), ".fusion: not a value of the expected kind: 3");
  EXPECT_EQ(complaint_of_file([](J& c) { c["phrases"] = {3}; }), ".phrases: expected an object, got number");
  EXPECT_EQ(complaint_of_file([](J& c) { c["horizon"] = 1.5; }), ".horizon: not a value of the expected kind: 1.5");
  EXPECT_EQ(complaint_of_file([](J& c) { c.erase("width"); }), ".width is missing");
}

TEST(BadNumbers, InAPolicysWeightsAreNamedAndNotTakenUp) {
  const TempFolder folder;
  const auto place = folder.path() / "policy", file = place / "policy.safetensors";
  policy_of("l1").save(place);
  auto tensors = read_safetensors(file).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  tensors.at("head.mlp.in.bias")[0].fill_(nan);
  write_safetensors(file, tensors);
  const auto expected = file.string() + ": head.mlp.in.bias [256] holds a NaN or an infinity: expected finite weights";
  EXPECT_EQ(message_of<Error>([&] { Policy::load(place); }), expected);
  auto policy = policy_of("l1");
  EXPECT_EQ(message_of<Error>([&] { policy.load_weights(place); }), expected);
  for (const auto& item : policy.module()->named_parameters())
    EXPECT_TRUE(item.value().isfinite().all().item<bool>()) << item.key();
}

TEST(BadNumbers, AnOwnNameThatNoFileHoldsIsRefusedBeforeItIsSaved) {
  auto config = config_of("text_queries", "retrieval");
  config.phrases[0].text = "go \xff left";
  EXPECT_EQ(message_of<Error>([&] { Policy::create(towers(), config); }),
            "[Policy] config: expected UTF-8 in fusion, head and phrases");
}

}  // namespace
}  // namespace vlalign::vla::bad_numbers_test
