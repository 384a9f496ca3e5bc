// Every public call of fusions, heads and policies with what doesn't fit: always an Error that names it, never
// LibTorch's own exception and never a result.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "fusion_input.hpp"
#include "small_policy.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/fusion/film.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/fusion/pointing.hpp"
#include "vlalign/vla/fusion/spatial_softmax.hpp"
#include "vlalign/vla/fusion/tiled_product.hpp"
#include "vlalign/vla/fusion/token_learner.hpp"
#include "vlalign/vla/head/bins_head.hpp"
#include "vlalign/vla/head/flow_matching_head.hpp"
#include "vlalign/vla/head/make_head.hpp"
#include "vlalign/vla/head/retrieval_head.hpp"

namespace vlalign::vla::hostile_input_test {
namespace {

using at::Tensor;
using Call = std::function<void()>;

/// The message must hold the name of what is wrong.
void expect_named(const char* name, const Call& call, const std::string& what) {
  try {
    call();
    ADD_FAILURE() << what << ": nothing was thrown";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << what << ": " << error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << what << ": another exception: " << error.what();
  }
}

/// What nothing takes in the place of a floating tensor of several dimensions.
std::vector<std::pair<std::string, Tensor>> wrong_tensors(const Tensor& right) {
  std::vector<std::pair<std::string, Tensor>> all{
      {"undefined", {}},
      {"a scalar", at::zeros({})},
      {"integers", at::zeros(right.sizes(), at::kLong)},
      {"a dimension more", right.unsqueeze(0)},
      {"a dimension less", right.select(0, 0)},
      {"another width", at::zeros([&] {
         auto shape = right.sizes().vec();
         shape.back() += 1;
         return shape;
       }())},
      {"no rows", right.narrow(0, 0, 0)},
  };
  return all;
}

class HostileInputOf : public testing::TestWithParam<std::string> {};

TEST_P(HostileInputOf, AFusionNamesWhatDoesNotFit) {
  nn::Initializer initializer(1);
  const auto fusion = make_fusion(GetParam(), vlalign::test::sizes, initializer);
  const auto& needs = fusion->needs();
  const auto right = vlalign::test::random_input();
  EXPECT_NO_THROW(fusion->forward(right));
  const auto refuse = [&](bool needed, const char* name, const Tensor& given, auto put) {
    if (!needed) return;
    for (const auto& [what, wrong] : wrong_tensors(given)) {
      auto input = right;
      put(input, wrong);
      expect_named(
          name, [&] { fusion->forward(input); }, std::string(name) + ": " + what);
    }
  };
  refuse(needs.visual_tokens, "visual", right.visual_tokens, [](auto& i, const auto& x) { i.visual_tokens = x; });
  refuse(needs.pooled_visual, "visual", right.pooled_visual, [](auto& i, const auto& x) { i.pooled_visual = x; });
  refuse(needs.text_tokens, "text_tokens", right.text_tokens, [](auto& i, const auto& x) { i.text_tokens = x; });
  refuse(needs.pooled_text, "pooled_text", right.pooled_text, [](auto& i, const auto& x) { i.pooled_text = x; });
  refuse(needs.joint, "joint_visual", right.joint_visual, [](auto& i, const auto& x) { i.joint_visual = x; });
  refuse(needs.joint, "joint_words", right.joint_words, [](auto& i, const auto& x) { i.joint_words = x; });
  refuse(true, "state", right.state, [](auto& i, const auto& x) { i.state = x; });
  if (needs.text_tokens || needs.joint) {
    auto input = right;
    input.text_mask = at::ones({3, 5});
    expect_named(
        "text_mask", [&] { fusion->forward(input); }, "a floating mask");
  }
  if (needs.maps) {
    auto input = right;
    input.maps.pop_back();
    expect_named(
        "maps", [&] { fusion->forward(input); }, "a map less");
    input.maps = {right.maps[0], Tensor()};
    expect_named(
        "maps", [&] { fusion->forward(input); }, "an undefined map");
    input.maps = {right.maps[0], right.maps[1].narrow(1, 0, 3)};
    EXPECT_THROW(fusion->forward(input), Error) << "3 tokens are no square";
  }
}

TEST_P(HostileInputOf, AFusionHasSizesThatCanBe) {
  nn::Initializer initializer(1);
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{1} << 60, std::numeric_limits<std::int64_t>::max(),
                                 std::numeric_limits<std::int64_t>::min()}) {
    for (auto field : {&FusionSizes::width, &FusionSizes::state}) {
      auto sizes = vlalign::test::sizes;
      sizes.*field = bad;
      expect_named(
          "sizes.", [&] { make_fusion(GetParam(), sizes, initializer); }, std::to_string(bad));
    }
    const FusionSizes all{.visual_tokens = bad,
                          .pooled_visual = bad,
                          .maps = {bad},
                          .text_tokens = bad,
                          .pooled_text = bad,
                          .joint = bad};
    expect_named(
        "sizes.", [&] { make_fusion(GetParam(), all, initializer); }, std::to_string(bad));
  }
  auto sizes = vlalign::test::sizes;
  sizes.width = 0;
  expect_named(
      "sizes.width", [&] { make_fusion(GetParam(), sizes, initializer); }, "0");
}

std::vector<std::string> all_fusions() { return {fusion_names().begin(), fusion_names().end()}; }
INSTANTIATE_TEST_SUITE_P(Fusions, HostileInputOf, testing::ValuesIn(all_fusions()));

class HostileHead : public testing::TestWithParam<std::string> {
 protected:
  static constexpr ActionShape shape{.horizon = 3, .dims = 2};
  std::shared_ptr<ActionHead> make(std::int64_t width = 6, const ActionShape& of = shape) const {
    nn::Initializer initializer(1);
    return make_head(GetParam(), width, of, {at::randn({5, 7}), at::randn({5, 3, 2})}, initializer);
  }
  static at::Generator generator() { return at::detail::createCPUGenerator(1); }
};

TEST_P(HostileHead, NamesWhatDoesNotFit) {
  const auto head = make();
  const auto features = at::randn({4, 6}), actions = at::rand({4, 3, 2});
  EXPECT_NO_THROW(head->loss(features, actions, at::ones({4, 3}, at::kBool), generator()));
  for (const auto& [what, wrong] : wrong_tensors(features)) {
    expect_named(
        "features", [&, &bad = wrong] { head->predict(bad, generator()); }, what);
    expect_named(
        "features", [&, &bad = wrong] { head->loss(bad, actions, {}, generator()); }, what);
  }
  for (const auto& [what, wrong] : wrong_tensors(actions))
    expect_named(
        "actions", [&, &bad = wrong] { head->loss(features, bad, {}, generator()); }, what);
  for (const auto& mask : {at::ones({4, 3}), at::ones({4, 2}, at::kBool), at::ones({4}, at::kBool)})
    expect_named(
        "mask", [&] { head->loss(features, actions, mask, generator()); }, "mask");
}

TEST_P(HostileHead, HasSizesThatCanBe) {
  for (const std::int64_t bad :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1} << 60, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_THROW(make(bad), Error) << bad;
    EXPECT_THROW(make(6, {.horizon = bad, .dims = 2}), Error) << bad;
    EXPECT_THROW(make(6, {.horizon = 3, .dims = bad}), Error) << bad;
  }
  EXPECT_THROW(make(6, {.horizon = 1 << 14, .dims = 1 << 14}), Error);
}

std::vector<std::string> all_heads() { return {head_names().begin(), head_names().end()}; }
INSTANTIATE_TEST_SUITE_P(Heads, HostileHead, testing::ValuesIn(all_heads()));

TEST(HostileInput, AHeadsOptionsCanBe) {
  nn::Initializer init(1);
  constexpr ActionShape shape{.horizon = 3, .dims = 2};
  constexpr auto huge = std::int64_t{1} << 60;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::int64_t bad : {std::int64_t{-1}, huge}) {
    EXPECT_THROW(BinsHead(6, shape, {.bins = bad}, init), Error);
    EXPECT_THROW(BinsHead(6, shape, {.hidden = bad}, init), Error);
    EXPECT_THROW(BinsHead(6, shape, {.layers = bad}, init), Error);
    EXPECT_THROW(FlowMatchingHead(6, shape, {.steps = bad}, init), Error);
    EXPECT_THROW(TokenLearner(6, bad, init), Error);
    EXPECT_THROW(Pointing(vlalign::test::sizes, {.pointers = bad}, init), Error);
    EXPECT_THROW(Pointing(vlalign::test::sizes, {.found = bad}, init), Error);
    EXPECT_THROW(FilmLayer(bad, 4, init), Error);
  }
  EXPECT_THROW(BinsHead(6, shape, {.low = {nan}}, init), Error);
  EXPECT_THROW(BinsHead(6, shape, {.high = {std::numeric_limits<double>::infinity()}}, init), Error);
  for (const double scale : {nan, 0.0, -1.0})
    EXPECT_THROW(Pointing(vlalign::test::sizes, {.scale = scale}, init), Error);
}

TEST(HostileInput, PublicCallsOfPartsNameWhatDoesNotFit) {
  nn::Initializer init(1);
  constexpr ActionShape shape{.horizon = 3, .dims = 2};
  const BinsHead bins(6, shape, {}, init);
  const FlowMatchingHead flow(6, shape, {}, init);
  const RetrievalHead retrieval(6, shape, {at::randn({5, 7}), at::randn({5, 3, 2})}, {}, init);
  const Pointing pointing(vlalign::test::sizes, {}, init);
  const TokenLearner learner(6, 2, init);
  const FilmLayer film(5, 4, init);
  const auto each = [](const char* name, const Tensor& right, const std::function<void(const Tensor&)>& call) {
    EXPECT_NO_THROW(call(right)) << name;
    for (const auto& [what, wrong] : wrong_tensors(right)) {
      const Tensor given = wrong;
      expect_named(
          "", [&] { call(given); }, std::string(name) + ": " + what);
    }
  };
  each("features", at::randn({4, 6}), [&](const Tensor& x) { bins.logits(x); });
  each("features", at::randn({4, 6}), [&](const Tensor& x) { retrieval.logits(x); });
  each("actions", at::randn({4, 3, 2}), [&](const Tensor& x) { retrieval.nearest_phrase(x, {}); });
  each("features", at::randn({4, 6}), [&](const Tensor& x) { flow.velocity(x, at::zeros({4, 3, 2}), at::zeros({4})); });
  each("x", at::randn({4, 3, 2}), [&](const Tensor& x) { flow.velocity(at::zeros({4, 6}), x, at::zeros({4})); });
  each("noise", at::randn({4, 3, 2}), [&](const Tensor& x) { flow.predict_from(at::zeros({4, 6}), x); });
  each("words", at::randn({4, 5, 6}), [&](const Tensor& x) { pointing.read(x, {}); });
  each("visual", at::randn({4, 5, 6}), [&](const Tensor& x) { pointing.maps(x, at::zeros({4, 6, 6})); });
  each("tokens", at::randn({4, 9, 6}), [&](const Tensor& x) { learner.forward(x); });
  each("condition", at::randn({4, 5}), [&](const Tensor& x) { film.forward(at::zeros({4, 3, 4}), x); });
  each("x of film", at::randn({4, 3, 4}), [&](const Tensor& x) { film.forward(x, at::zeros({4, 5})); });
  for (const auto& x : {Tensor(), at::zeros({}), at::zeros({3}), at::zeros({2, 3}, at::kLong), at::zeros({0, 3})}) {
    expect_named(
        "", [&] { expected_place(x); }, "expected_place");
    expect_named(
        "", [&] { spatial_softmax(x); }, "spatial_softmax");
    expect_named(
        "", [&] { tokens_to_map(x); }, "tokens_to_map");
  }
  for (const auto& x : {Tensor(), at::zeros({}), at::zeros({4, 3}), at::zeros({4, 2}, at::kLong)})
    expect_named(
        "actions", [&] { bins.bin_of(x); }, "bin_of");
  for (const auto& x : {Tensor(), at::zeros({}, at::kLong), at::zeros({4, 3}, at::kLong), at::zeros({4, 2})})
    expect_named(
        "bins", [&] { bins.centre_of(x); }, "centre_of");
  for (const auto& x : {Tensor(), at::zeros({3}), at::zeros({2, 3}, at::kLong), at::zeros({0, 3})})
    expect_named(
        "rows", [&] { whitened(x); }, "whitened");
  expect_named(
      "batch", [&] { flow.draw_noise(-1, at::detail::createCPUGenerator(1)); }, "draw_noise");
  expect_named(
      "batch", [&] { FlowMatchingHead::draw_times(0, at::detail::createCPUGenerator(1)); }, "draw_times");
  expect_named(
      "generator", [&] { flow.draw_noise(2, {}); }, "draw_noise");

  const auto encoder = test::towers();
  const Film films(*encoder.module()->visual, std::vector<std::int64_t>{0}, 5, init);
  for (const std::int64_t layer : {-1, 2, 1 << 30})
    expect_named(
        "layer",
        [&] {
          films.forward(layer, at::zeros({1, 4, 32}), at::zeros({1, 5}));
        },
        "Film::forward");
}

class HostileBatch : public testing::Test {
 protected:
  EpisodeBatch right() const {
    return {.pixels = at::randint(256, {3, 3, 32, 32}, at::kByte),
            .tokens = at::full({3, 4}, 5, at::kLong),
            .state = at::randn({3, 4}),
            .actions = at::rand({3, 3, 2}),
            .mask = at::ones({3, 3}, at::kBool)};
  }
  void refuse(const char* name, const std::string& what, const std::function<void(EpisodeBatch&)>& spoil) const {
    auto batch = right();
    spoil(batch);
    expect_named(
        name, [&] { policy_.loss(batch); }, std::string(name) + ": " + what);
  }

  Policy policy_ = Policy::create(test::towers(), test::config_of("text_queries", "l1"));
};

TEST_F(HostileBatch, IsAnErrorThatNamesTheField) {
  EXPECT_NO_THROW(policy_.loss(right()));
  for (const auto& [what, wrong] : wrong_tensors(right().pixels.to(at::kFloat)))
    refuse("pixels", what, [&, x = wrong](auto& b) { b.pixels = x; });
  refuse("pixels", "another side", [](auto& b) { b.pixels = at::zeros({3, 3, 16, 16}, at::kByte); });
  refuse("pixels", "channels last", [](auto& b) { b.pixels = at::zeros({3, 32, 32, 3}, at::kByte); });
  for (const auto& [what, wrong] : wrong_tensors(right().state))
    refuse("state", what, [&, x = wrong](auto& b) { b.state = x; });
  refuse("state", "another batch", [](auto& b) { b.state = at::zeros({2, 4}); });
  for (const auto& [what, wrong] : wrong_tensors(right().actions))
    refuse("actions", what, [&, x = wrong](auto& b) { b.actions = x; });
  refuse("actions", "another batch", [](auto& b) { b.actions = at::zeros({2, 3, 2}); });
  refuse("mask", "floating", [](auto& b) { b.mask = at::ones({3, 3}); });
  refuse("mask", "another horizon", [](auto& b) { b.mask = at::ones({3, 2}, at::kBool); });
  refuse("tokens", "undefined", [](auto& b) { b.tokens = Tensor(); });
  refuse("tokens", "floating", [](auto& b) { b.tokens = at::zeros({3, 4}); });
  refuse("tokens", "one dimension", [](auto& b) { b.tokens = at::zeros({3}, at::kLong); });
  refuse("tokens", "none", [](auto& b) { b.tokens = at::zeros({3, 0}, at::kLong); });
  for (const std::int64_t id : {-1, 514, 1 << 30})
    refuse("tokens", "id " + std::to_string(id), [&](auto& b) { b.tokens[1][2].fill_(id); });
  refuse("tokens", "too many", [](auto& b) { b.tokens = at::zeros({3, 17}, at::kLong); });
  refuse("instruction", "another batch", [](auto& b) { b.tokens = at::full({2, 4}, 5, at::kLong); });
}

TEST_F(HostileBatch, ADeviceThatIsNotThereIsAnError) {
  if (!at::hasCUDA())
    expect_named(
        "cuda", [&] { policy_.to(c10::Device(c10::kCUDA, 0)); }, "a GPU");
  expect_named(
      "meta", [&] { policy_.to(c10::Device(c10::kMeta)); }, "no memory");
  EXPECT_NO_THROW(policy_.loss(right()));
}

TEST_F(HostileBatch, InActNamesTheArgument) {
  const auto batch = right();
  const auto text = policy_.read(batch.tokens);
  EXPECT_NO_THROW(policy_.act(batch.pixels, text, batch.state));
  expect_named(
      "pixels", [&] { policy_.act({}, text, batch.state); }, "undefined");
  expect_named(
      "state", [&] { policy_.act(batch.pixels, text); }, "undefined");
  expect_named(
      "instruction", [&] { policy_.act(batch.pixels, {}, batch.state); }, "undefined");
  auto other = text;
  other.embedding = at::zeros({3, 5});
  expect_named(
      "instruction", [&] { policy_.act(batch.pixels, other, batch.state); }, "another model's");
  other = text;
  other.tokens = Tensor();
  expect_named(
      "text_tokens", [&] { policy_.act(batch.pixels, other, batch.state); }, "no tokens");
  other.tokens = at::zeros({2, 4, 32});
  expect_named(
      "instruction", [&] { policy_.act(batch.pixels, other, batch.state); }, "another batch's tokens");
}

}  // namespace
}  // namespace vlalign::vla::hostile_input_test
