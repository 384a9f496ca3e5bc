// A logit bias that a checkpoint has none of.
#include <gtest/gtest.h>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/loss/sigmoid.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::logit_bias_test {
namespace {

using test::peer_model;
using test::TempFolder;

TEST(LogitBias, StartsAnewWhereAFolderHasNone) {
  const TempFolder folder, again;
  const auto clip = peer_model("vit");
  clip.save(folder.path() / "clip");
  auto model = DualEncoder::load(folder.path() / "clip", {.logit_bias = -10});
  ASSERT_TRUE(model.module()->logit_bias.defined());
  EXPECT_EQ(model.module()->logit_bias.item<float>(), -10.0F);
  EXPECT_EQ(model.logit_scale().item<float>(), clip.logit_scale().item<float>());
  EXPECT_TRUE(model.module()->logit_bias.requires_grad());
  model.save(again.path() / "siglip");
  EXPECT_EQ(DualEncoder::load(again.path() / "siglip").module()->logit_bias.item<float>(), -10.0F);
}

TEST(LogitBias, StaysWhereAFolderHasOne) {
  const TempFolder folder;
  const auto siglip = peer_model("open_clip_custom_text");
  siglip.save(folder.path() / "model");
  const auto model = DualEncoder::load(folder.path() / "model", {.logit_bias = 3});
  EXPECT_EQ(model.module()->logit_bias.item<float>(), siglip.module()->logit_bias.item<float>());
}

}  // namespace
}  // namespace vlalign::logit_bias_test
