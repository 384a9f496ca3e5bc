// A fusion and a head of one's own in a Policy: what they don't agree on with the towers and the configuration is said
// when they meet.
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "small_policy.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/fusion/make_fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"
#include "vlalign/vla/live_policy.hpp"

namespace vlalign::vla::own_parts_test {
namespace {

using test::config_of;
using test::towers;
using vlalign::test::message_of;

/// Of test::towers().
const FusionSizes of_towers{.visual_tokens = 32,
                            .pooled_visual = 16,
                            .maps = {32},
                            .text_tokens = 32,
                            .pooled_text = 16,
                            .joint = 16,
                            .state = 4,
                            .width = 32};

struct Parts {
  std::string fusion = "text_queries", head = "l1";
  FusionSizes sizes = of_towers;
  std::int64_t head_width = 32;
  ActionShape shape{.horizon = 3, .dims = 2};
  PolicyConfig config = config_of("mine", "mine");

  Policy policy() const {
    nn::Initializer initializer(1);
    return Policy(towers(), make_fusion(fusion, sizes, initializer),
                  make_head(head, head_width, shape, {}, initializer), config);
  }
  std::string complaint() const {
    return message_of<Error>([this] { policy(); });
  }
};

TEST(OwnParts, WorkWhereTheyAgree) {
  for (const auto fusion : fusion_names()) {
    const Parts parts{.fusion = std::string(fusion)};
    LivePolicy robot(parts.policy());
    robot.set_instruction("push");
    std::vector<float> action(2), state(4);
    const std::vector<std::uint8_t> pixels(3 * 32 * 32, 100);
    robot.act({pixels, 32, 32, ImageView::Format::rgb}, state, action);
  }
}

TEST(OwnParts, TheHeadsChunkIsTheConfigurations) {
  EXPECT_EQ((Parts{.shape = {.horizon = 2, .dims = 2}}.complaint()),
            "[Policy] actions: the head gives 2 x 2, the configuration says 3 x 2");
  EXPECT_EQ((Parts{.shape = {.horizon = 2, .dims = 3}}.complaint()),
            "[Policy] actions: the head gives 2 x 3, the configuration says 3 x 2");
}

TEST(OwnParts, WidthsAreTheSame) {
  EXPECT_EQ(Parts{.head_width = 16}.complaint(), "[Policy] the fusion's width is 32, the head's 16");
  Parts parts;
  parts.config.width = 256;
  EXPECT_EQ(parts.complaint(), "[Policy] width: the fusion's and the head's is 32, the configuration's 256");
}

TEST(OwnParts, TheFusionTakesWhatTheTowersGive) {
  const auto complaint = [](const char* fusion, auto change) {
    Parts parts{.fusion = fusion};
    change(parts.sizes);
    return parts.complaint();
  };
  using S = FusionSizes;
  EXPECT_EQ(complaint("text_queries", [](S& s) { s.visual_tokens = 8; }),
            "[Policy] visual_tokens: the fusion takes 8, it would be given 32");
  EXPECT_EQ(complaint("text_queries", [](S& s) { s.text_tokens = 8; }),
            "[Policy] text_tokens: the fusion takes 8, it would be given 32");
  EXPECT_EQ(complaint("late_concat", [](S& s) { s.pooled_visual = 8; }),
            "[Policy] pooled_visual: the fusion takes 8, it would be given 16");
  EXPECT_EQ(complaint("late_concat", [](S& s) { s.pooled_text = 8; }),
            "[Policy] pooled_text: the fusion takes 8, it would be given 16");
  EXPECT_EQ(complaint("pointing", [](S& s) { s.joint = 8; }),
            "[Policy] joint: the fusion takes 8, it would be given 16");
  EXPECT_EQ(complaint("tiled_product",
                      [](S& s) {
                        s.maps = {32, 32};
                      }),
            "[Policy] maps: the fusion takes [32, 32], it would be given [32]");
  for (const std::int64_t state : {0, 3})
    EXPECT_EQ(complaint("text_queries", [&](S& s) { s.state = state; }),
              "[Policy] state: the fusion takes " + std::to_string(state) + ", it would be given 4");
}

TEST(OwnParts, AFailureLeavesTheTowersModesAsTheyWere) {
  auto encoder = towers(/*resnet=*/true);
  encoder.train();
  encoder.module()->text->train(false);
  auto config = config_of("tiled_product", "l1");
  config.maps = {99};
  EXPECT_THROW(Policy::create(encoder, config), Error);
  EXPECT_TRUE(encoder.module()->is_training());
  EXPECT_TRUE(encoder.module()->visual->is_training());
  EXPECT_FALSE(encoder.module()->text->is_training());
}

class LyingFusion : public Fusion {
 public:
  LyingFusion(at::Tensor given, nn::Initializer& initializer)
      : Fusion("LyingFusion", of_towers, {.pooled_visual = true}, initializer), given_(std::move(given)) {}

 protected:
  at::Tensor fuse(const FusionInput&) const override { return given_; }

 private:
  at::Tensor given_;
};

class LyingHead : public ActionHead {
 public:
  explicit LyingHead(at::Tensor given) : ActionHead("LyingHead", 32, {3, 2}), given_(std::move(given)) {}

 protected:
  at::Tensor loss_of(const Tensor&, const Target&, const at::Generator&) const override { return given_; }
  at::Tensor prediction(const Tensor&, const at::Generator&) const override { return given_; }

 private:
  at::Tensor given_;
};

TEST(OwnParts, WhatTheyGiveHasTheShapeTheySaid) {
  nn::Initializer initializer(1);
  const FusionInput input{.pooled_visual = at::zeros({2, 16}), .state = at::zeros({2, 4})};
  const auto fused = [&](const at::Tensor& given) {
    return message_of<Error>([&] { LyingFusion(given, initializer).forward(input); });
  };
  EXPECT_EQ(fused(at::zeros({2, 32})), "[LyingFusion] fuse(): expected [2, -1, 32] (-1: any), got [2, 32]");
  EXPECT_EQ(fused(at::zeros({2, 1, 16})), "[LyingFusion] fuse(): expected [2, -1, 32] (-1: any), got [2, 1, 16]");
  EXPECT_EQ(fused(at::zeros({1, 1, 32})), "[LyingFusion] fuse(): expected [2, -1, 32] (-1: any), got [1, 1, 32]");
  EXPECT_EQ(fused({}), "[LyingFusion] fuse(): expected [2, -1, 32] (-1: any), got nothing");

  const auto predicted = [&](const at::Tensor& given) {
    return message_of<Error>([&] { LyingHead(given).predict(at::zeros({1, 32})); });
  };
  EXPECT_EQ(predicted(at::zeros({1, 2, 2})), "[LyingHead] prediction(): expected [1, 3, 2] (-1: any), got [1, 2, 2]");
  EXPECT_EQ(predicted(at::zeros({1, 2, 3})), "[LyingHead] prediction(): expected [1, 3, 2] (-1: any), got [1, 2, 3]");
  EXPECT_EQ(predicted(at::zeros({6})), "[LyingHead] prediction(): expected [1, 3, 2] (-1: any), got [6]");
  EXPECT_EQ(message_of<Error>([] {
              LyingHead(at::zeros({2})).loss(at::zeros({1, 32}), at::zeros({1, 3, 2}));
            }),
            "[LyingHead] loss_of(): expected a scalar");
}

}  // namespace
}  // namespace vlalign::vla::own_parts_test
