#include "vlalign/vla/live_policy.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "small_policy.hpp"
#include "support/allocation_count.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/quantize.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"

namespace vlalign::vla::live_policy_test {
namespace {

using test::config_of;
using test::towers;
using vlalign::test::message_of;
using Action = std::vector<float>;

constexpr const char* words = "push the cup";

Image frame(int which) {
  Image image{50, 40, std::vector<std::uint8_t>(3 * 50 * 40)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>((i * 13 + static_cast<std::size_t>(which) * 7919) % 251);
  return image;
}

const Action& state_of(int which) {
  static const std::vector<Action> states{{0, 0, 0, 0}, {1, 2, 3, 4}, {-1, 0.5F, 0, 2}, {3, -3, 1, -1}};
  return states[static_cast<std::size_t>(which) % states.size()];
}

Policy policy_of(const std::string& fusion, const std::string& head) {
  auto policy = Policy::create(towers(), config_of(fusion, head), 3);
  policy.train(false);
  return policy;
}

LivePolicy live(Policy policy, const LivePolicyOptions& options = {}, std::string_view instruction = words) {
  LivePolicy robot(std::move(policy), options);
  robot.set_instruction(instruction);
  return robot;
}

Action act(LivePolicy& robot, int which) {
  Action action(2);
  const auto image = frame(which);
  robot.act(ImageView(image), state_of(which), action);
  return action;
}

std::vector<Action> act_on(LivePolicy& robot, int frames) {
  std::vector<Action> actions;
  for (int i = 0; i < frames; ++i) actions.push_back(act(robot, i));
  return actions;
}

/// uint8 [1, 3, S, S]
at::Tensor pixels_of(const Policy& policy, int which) {
  auto picture = preprocess(frame(which), policy.encoder().config().preprocess);
  return at::from_blob(picture.rgb.data(), {1, 32, 32, 3}, at::kByte).permute({0, 3, 1, 2}).clone();
}

/// [H, A] of the policy itself, which no LivePolicy has touched.
at::Tensor chunk_of(const Policy& policy, int which, const char* instruction = words) {
  const auto tokens = tokenize(*policy.encoder().tokenizer(), std::vector<std::string>{instruction}, 16);
  return policy.act(pixels_of(policy, which), policy.read(tokens), at::tensor(state_of(which)).unsqueeze(0))[0];
}

void expect_row(const Action& action, const at::Tensor& expected) {
  for (std::int64_t a = 0; a < 2; ++a)
    EXPECT_NEAR(action[static_cast<std::size_t>(a)], expected[a].item<float>(), 1e-5);
}

/// Towers in int8, fusion and head in floats.
TEST(LivePolicy, RunsItsTowersInInt8) {
  const vlalign::test::TempFolder folder;
  const auto policy = policy_of("text_queries", "l1");
  const auto refusal = message_of<Error>([&] { LivePolicy(policy, {.precision = Precision::int8}); });
  EXPECT_EQ(refusal, "[int8] model small: not prepared for int8: quantize() does that, and `vlalign quantize`");
  std::vector<at::Tensor> pixels;
  for (int i = 0; i < 24; ++i) pixels.push_back(pixels_of(policy, i));
  const auto tokens = tokenize(*policy.encoder().tokenizer(), std::vector<std::string>{words, "push the bowl"}, 16);
  quantize(policy.encoder(), at::cat(pixels), tokens);
  policy.save(folder.path() / "policy");
  policy.save(folder.path() / "policy");
  const auto back = Policy::load(folder.path() / "policy");
  auto exact = live(policy), quick = live(policy, {.precision = Precision::int8});
  auto again = live(back, {.precision = Precision::int8});
  for (int i = 0; i < 4; ++i) {
    const auto actions = act(exact, i), in_int8 = act(quick, i);
    EXPECT_NE(in_int8, actions);
    EXPECT_EQ(in_int8, act(again, i));
    for (std::size_t k = 0; k < actions.size(); ++k) EXPECT_NEAR(in_int8[k], actions[k], 0.05);
  }
}

TEST(LivePolicy, ActsOutTheFirstStepsOfThePolicysChunks) {
  const auto plain = policy_of("text_queries", "l1");
  for (const std::int64_t execute : {1, 2, 3}) {
    auto robot = live(policy_of("text_queries", "l1"), {.execute = execute});
    for (int step = 0; step < 6; ++step) {
      const auto into = step % execute;
      expect_row(act(robot, step), chunk_of(plain, static_cast<int>(step - into))[into]);
    }
  }
}

TEST(LivePolicy, AveragesOverlappingChunksWithTheirWeights) {
  constexpr double m = 0.3;
  const auto plain = policy_of("text_queries", "l1");
  auto robot = live(policy_of("text_queries", "l1"), {.ensemble = m});
  for (int step = 0; step < 5; ++step) {
    at::Tensor sum = at::zeros({2}, at::kDouble);
    double total = 0;
    int older = 0;
    for (int at = std::max(0, step - 2); at <= step; ++at) {
      const double weight = std::exp(-m * older++);
      sum += weight * chunk_of(plain, at)[step - at].to(at::kDouble);
      total += weight;
    }
    expect_row(act(robot, step), sum / total);
  }
}

TEST(LivePolicy, GivesTheSameActionsToTheBitForTheSameFrames) {
  const auto policy = policy_of("text_queries", "flow_matching");
  auto robot = live(policy), another = live(policy_of("text_queries", "flow_matching"));
  const auto actions = act_on(robot, 5);
  robot.reset();
  EXPECT_EQ(act_on(robot, 5), actions);
  EXPECT_EQ(act_on(another, 5), actions);
  auto other_seed = live(policy, {.seed = 1});
  EXPECT_NE(act_on(other_seed, 5), actions);
  EXPECT_NE(act(another, 0), act(another, 0)) << "each step draws noise of its own";
}

TEST(LivePolicyCuda, ActsAsOnTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
  auto policy = policy_of("text_queries", "l1");
  auto here = live(policy_of("text_queries", "l1"));
  policy.to(parse_device("cuda"));
  auto there = live(policy);
  for (int i = 0; i < 3; ++i) {
    const auto got = act(there, i), expected = act(here, i);
    for (std::size_t a = 0; a < expected.size(); ++a) EXPECT_NEAR(got[a], expected[a], 1e-2);  // convolutions in TF32
  }
}

TEST(LivePolicy, SharesAPolicyAmongThreadsToTheSameBits) {
  const auto policy = policy_of("text_queries", "flow_matching");
  auto alone = live(policy_of("text_queries", "flow_matching"), {.threads = 1});
  const auto expected = act_on(alone, 20);
  std::vector<std::vector<Action>> found(4);
  {
    std::vector<std::jthread> robots;
    for (auto& actions : found)
      robots.emplace_back([&] {
        auto robot = live(policy, {.threads = 1});
        actions = act_on(robot, 20);
      });
  }
  for (const auto& actions : found) EXPECT_EQ(actions, expected);
}

TEST(LivePolicy, FollowsANewInstructionAtOnce) {
  const auto plain = policy_of("text_queries", "l1");
  auto robot = live(policy_of("text_queries", "l1"), {.execute = 3});
  act(robot, 0);
  robot.set_instruction("stay");
  expect_row(act(robot, 1), chunk_of(plain, 1, "stay")[0]);
  robot.set_instruction("stay");  // which is no new one
  expect_row(act(robot, 2), chunk_of(plain, 1, "stay")[1]);
  robot.set_instruction(words);
  expect_row(act(robot, 3), chunk_of(plain, 3)[0]);
}

TEST(LivePolicy, DropsWhatItAveragedForAnotherInstruction) {
  const auto plain = policy_of("text_queries", "l1");
  auto robot = live(policy_of("text_queries", "l1"), {.ensemble = 0.0});
  act_on(robot, 3);
  robot.set_instruction("stay");
  expect_row(act(robot, 3), chunk_of(plain, 3, "stay")[0]);
}

TEST(LivePolicy, LeavesTheThreadCountAsItWas) {
  const auto before = at::get_num_threads();
  auto robot = live(policy_of("text_queries", "l1"), {.threads = before + 1});
  act(robot, 0);
  EXPECT_EQ(at::get_num_threads(), before);
  std::jthread([&] { EXPECT_EQ(at::get_num_threads(), before); });
}

TEST(LivePolicy, CountsTheStepsThatLookAtAFrame) {
  auto robot = live(policy_of("text_queries", "l1"), {.execute = 3});
  act_on(robot, 7);
  const auto& latency = robot.latency();
  for (const auto* part : {&latency.preprocess, &latency.policy, &latency.whole}) EXPECT_EQ(part->count(), 3);
  EXPECT_GE(1.03 * latency.whole.quantile(1), latency.policy.quantile(1) / 1.03);
  robot.reset_latency();
  EXPECT_EQ(robot.latency().whole.count(), 0);
}

TEST(LivePolicy, SaysWhatIsWrong) {
  const auto policy = policy_of("text_queries", "l1");
  const auto complaint = [&](const LivePolicyOptions& options) {
    return message_of<Error>([&] { LivePolicy(policy, options); });
  };
  EXPECT_EQ(complaint({.threads = -1}), "[LivePolicy] threads: expected 0 or more, got -1");
  EXPECT_EQ(complaint({.execute = 4}), "[LivePolicy] execute: expected 1 to 3, got 4");
  EXPECT_EQ(complaint({.execute = 2, .ensemble = 0.1}),
            "[LivePolicy] execute: 2 steps of a chunk don't go with an ensemble, which looks at every frame");
  LivePolicy robot(policy);
  const auto image = frame(0);
  Action two(2), four(4);
  const auto acting = [&](std::span<const float> state, std::span<float> action) {
    return message_of<Error>([&] { robot.act(ImageView(image), state, action); });
  };
  EXPECT_EQ(acting(four, two), "[LivePolicy] no instruction: call set_instruction() first");
  robot.set_instruction(words);
  EXPECT_EQ(acting(two, two), "[LivePolicy] state: expected 4 numbers, got 2");
  EXPECT_EQ(acting(four, four), "[LivePolicy] action: expected 2 numbers, got 4");
  EXPECT_NO_THROW(robot.act(ImageView(image), four, two));
}

TEST(LivePolicy, RefusesOptionsThatCannotBe) {
  const auto policy = policy_of("text_queries", "l1");
  const auto complaint = [&](const LivePolicyOptions& options) {
    return message_of<Error>([&] { LivePolicy(policy, options); });
  };
  EXPECT_EQ(complaint({.threads = 100000}), "[LivePolicy] threads: expected at most 1024, got 100000");
  EXPECT_EQ(complaint({.execute = 0}), "[LivePolicy] execute: expected 1 to 3, got 0");
  EXPECT_EQ(complaint({.ensemble = -0.1}), "[LivePolicy] ensemble: expected at least 0 and finite, got -0.1");
  EXPECT_EQ(complaint({.ensemble = std::nan("")}), "[LivePolicy] ensemble: expected at least 0 and finite, got nan");
  EXPECT_EQ(complaint({.ensemble = HUGE_VAL}), "[LivePolicy] ensemble: expected at least 0 and finite, got inf");
  EXPECT_EQ(complaint({.kept_instructions = 0}), "[LivePolicy] kept_instructions: expected at least 1, got 0");
  LivePolicy robot(policy);
  for (const auto* blank : {"", "  ", "\n"})
    EXPECT_EQ(message_of<Error>([&] { robot.set_instruction(blank); }),
              "[LivePolicy] instruction: expected words, got a blank");
}

TEST(LivePolicy, GoesOnAfterFramesOfOddSizes) {
  auto robot = live(policy_of("text_queries", "l1")), undisturbed = live(policy_of("text_queries", "l1"));
  for (const auto& [width, height] : {std::pair{1, 1}, {3000, 1}, {1, 3000}, {17, 5}}) {
    const std::vector<std::uint8_t> grey(static_cast<std::size_t>(width * height), 100);
    Action action(2);
    try {
      robot.act({grey, width, height, ImageView::Format::grey}, state_of(0), action);
      EXPECT_TRUE(std::isfinite(action[0]) && std::isfinite(action[1])) << width << "x" << height;
    } catch (const Error&) {  // a size that can't be resized
    }
    robot.reset(), undisturbed.reset();
    EXPECT_EQ(act(robot, 1), act(undisturbed, 1)) << width << "x" << height;
  }
}

TEST(LivePolicy, ReadsAnInstructionAgainThatItNoLongerKeeps) {
  const auto plain = policy_of("text_queries", "l1");
  auto robot = live(policy_of("text_queries", "l1"), {.kept_instructions = 1});
  for (const auto* told : {"stay", words, "stay", words}) {
    robot.set_instruction(told);
    expect_row(act(robot, 0), chunk_of(plain, 0, told)[0]);
  }
}

/// The chunk of a policy that no LivePolicy has touched, whose weights are so many times those of policy_of().
at::Tensor chunk_of_multiple(double factor, int which) {
  const auto policy = policy_of("text_queries", "l1");
  const at::NoGradGuard no_graph;
  for (auto& parameter : policy.module()->parameters()) parameter.mul_(factor);
  return chunk_of(policy, which);
}

TEST(LivePolicy, FollowsAChangeOfTheWeightsInTheInstructionToo) {
  const auto policy = policy_of("text_queries", "l1");
  auto robot = live(policy);
  expect_row(act(robot, 0), chunk_of_multiple(1, 0)[0]);
  {
    const at::NoGradGuard no_graph;
    for (auto& parameter : policy.module()->parameters()) parameter.mul_(1.1);
  }
  expect_row(act(robot, 1), chunk_of_multiple(1.1, 1)[0]);
}

TEST(LivePolicy, TakesUpAChangeThatLibTorchDoesNotCountWhenRefreshed) {
  const auto policy = policy_of("text_queries", "l1");
  auto robot = live(policy, {.execute = 3});
  act(robot, 0);
  for (auto& parameter : policy.module()->parameters()) parameter.data().mul_(1.1);
  robot.refresh();
  expect_row(act(robot, 1), chunk_of_multiple(1.1, 1)[0]);  // what was planned is forgotten
}

TEST(LivePolicy, IsRefreshedWhileOthersActWithTheSamePolicy) {
  const auto policy = policy_of("text_queries", "l1");
  auto alone = live(policy_of("text_queries", "l1"), {.threads = 1});
  const auto expected = act_on(alone, 20);
  auto refreshed = live(policy, {.threads = 1});
  std::vector<std::vector<Action>> found(3);
  {
    std::vector<std::jthread> robots;
    for (auto& actions : found)
      robots.emplace_back([&] {
        auto robot = live(policy, {.threads = 1});
        actions = act_on(robot, 20);
      });
    for (int i = 0; i < 50; ++i) refreshed.refresh();
  }
  for (const auto& actions : found) EXPECT_EQ(actions, expected);
  EXPECT_EQ(act_on(refreshed, 20), expected);
}

TEST(LivePolicy, EvaluatesThoughTrainingModeWasSetMeanwhile) {
  const auto policy = Policy::create(towers(/*resnet=*/true), config_of("late_concat", "l1"), 3);
  auto robot = live(policy);
  const auto before = act(robot, 0);
  policy.module()->train();
  EXPECT_EQ(act(robot, 0), before);
}

struct Kind {
  std::string fusion, head;
  bool resnet = false, film = false;
  Precision precision = Precision::fp32;
};
class LivePolicyOf : public testing::TestWithParam<Kind> {};

TEST_P(LivePolicyOf, AllocatesNothingItselfFromTheSecondFrameOn) {
  const auto& kind = GetParam();
  auto config = config_of(kind.fusion, kind.head);
  if (kind.film) config.film = {0, 1};
  const auto policy = Policy::create(towers(kind.resnet), config, 3);
  auto robot = live(policy, {.precision = kind.precision, .ensemble = 0.1});
  robot.set_instruction("stay");
  const auto first = frame(1), second = frame(2);
  Action action(2);
  {
    const vlalign::test::OwnAllocations at_first;
    robot.act(ImageView(first), state_of(1), action);
    EXPECT_GT(at_first.count(), 0);
  }
  const vlalign::test::OwnAllocations own;
  for (int i = 0; i < 3; ++i) {
    robot.set_instruction(i % 2 == 0 ? words : "stay");
    robot.act(ImageView(i == 0 ? first : second), state_of(i), action);
  }
  // The lists of maps that tower, policy and fusion hand on.
  const auto lists = kind.fusion == "tiled_product" ? 7 * 3 : 0;
  EXPECT_EQ(own.count(), lists) << own.callers();
}

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const auto fusion : fusion_names()) all.push_back({.fusion = std::string(fusion), .head = "l1"});
  for (const auto head : head_names())
    if (head != "l1") all.push_back({.fusion = "text_queries", .head = std::string(head)});
  all.push_back({.fusion = "late_concat", .head = "l1", .resnet = true});
  all.push_back({.fusion = "late_concat", .head = "l1", .film = true});
  all.push_back({.fusion = "text_queries", .head = "l1", .precision = Precision::bf16});
  return all;
}

std::string name_of(const testing::TestParamInfo<Kind>& kind) {
  const auto& [fusion, head, resnet, film, precision] = kind.param;
  return fusion + "_" + head + (resnet ? "_resnet" : "") + (film ? "_film" : "") +
         (precision == Precision::bf16 ? "_bf16" : "");
}

INSTANTIATE_TEST_SUITE_P(All, LivePolicyOf, testing::ValuesIn(kinds()), name_of);

}  // namespace
}  // namespace vlalign::vla::live_policy_test
