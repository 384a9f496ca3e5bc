// What a model is given.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::inputs_test {
namespace {

using test::message_of;
using test::peer_model;

TEST(Pixels, OfAnotherKindSizeOrNumberAreRefused) {
  const auto model = peer_model("vit");  // of 16 pixels
  const auto error = [&](const at::Tensor& pixels) {
    const auto message = message_of<Error>([&] { model.encode_image(pixels); });
    EXPECT_NE(message_of<Error>([&] { model.image_features(pixels); }).find("pixels: expected"), std::string::npos);
    return message;
  };
  EXPECT_EQ(error({}), "[encode_image] pixels: expected [B, 3, S, S], got no tensor");
  EXPECT_EQ(error(at::zeros({1, 3, 16, 16}, at::kInt)),
            "[normalize_pixels] pixels: expected uint8 or a floating dtype, got Int");
  EXPECT_EQ(error(at::zeros({1, 3, 32, 32})), "[encode_image] pixels: expected [B, 3, 16, 16], got [1, 3, 32, 32]");
  // As many patches, in another order.
  EXPECT_EQ(error(at::zeros({1, 3, 8, 32})), "[encode_image] pixels: expected [B, 3, 16, 16], got [1, 3, 8, 32]");
  EXPECT_EQ(error(at::zeros({0, 3, 16, 16})),
            "[encode_image] pixels: expected floating [B, 3, S, S] of at least one picture, got Float [0, 3, 16, 16]");
  EXPECT_EQ(error(at::zeros({3, 16, 16})), "[normalize_pixels] pixels: expected [B, 3, H, W], got [3, 16, 16]");
  const auto raw = at::zeros({1, 3, 16, 16}, at::kByte);
  EXPECT_NO_THROW(model.encode_image(raw));
  EXPECT_EQ(message_of<Error>([&] { model.module()->encode_image(raw); }),
            "[encode_image] pixels: expected floating [B, 3, S, S] of at least one picture, got Byte [1, 3, 16, 16]");
  EXPECT_EQ(message_of<Error>([&] { model.module()->visual->forward({}, at::kFloat); }),
            "[Vit] pixels: expected floating [B, 3, S, S] of at least one picture, got no tensor");
}

TEST(Pixels, OfDoublePrecisionAreTaken) {
  const auto model = peer_model("vit");
  const auto pixels = test::expected_of("vit").at("pixels");
  EXPECT_TRUE(model.encode_image(pixels.to(at::kDouble)).equal(model.encode_image(pixels)));
}

TEST(Tokens, OfAnotherKindLengthOrVocabularyAreRefused) {
  for (const auto* name : {"vit", "hf_align"}) {
    const auto model = peer_model(name);  // 514 entries, 12 places
    const auto error = [&](const at::Tensor& tokens) {
      const auto message = message_of<Error>([&] { model.encode_text(tokens); });
      EXPECT_NE(message_of<Error>([&] { model.text_features(tokens); }).find("tokens: expected"), std::string::npos);
      return message;
    };
    EXPECT_EQ(error({}), "[encode_text] tokens: expected int64 [B, L], got no tensor");
    EXPECT_EQ(error(at::zeros({1, 4}, at::kInt)), "[encode_text] tokens: expected int64 [B, L], got Int [1, 4]");
    EXPECT_EQ(error(at::zeros({4}, at::kLong)), "[encode_text] tokens: expected int64 [B, L], got Long [4]");
    for (const auto& shape : std::vector<std::vector<std::int64_t>>{{0, 4}, {2, 0}})
      EXPECT_NE(error(at::zeros(shape, at::kLong)).find("expected at least one text of one token"), std::string::npos);
    EXPECT_EQ(error(at::full({1, 4}, 514, at::kLong)), "[encode_text] tokens: expected ids from 0 to 513, got 514");
    EXPECT_EQ(error(at::full({1, 4}, -1, at::kLong)), "[encode_text] tokens: expected ids from 0 to 513, got -1");
    EXPECT_NE(error(at::ones({1, 13}, at::kLong)).find("tokens: expected at most 12 a text, got 13"),
              std::string::npos);
    const auto outside = at::full({1, 4}, 600, at::kLong);
    EXPECT_NE(
        message_of<Error>([&] { model.module()->encode_text(outside); }).find("expected ids from 0 to 513, got 600"),
        std::string::npos);
  }
}

TEST(Pixels, OfTheWrongSizeAreRefusedByEachTowerThatHasOne) {
  const auto model = peer_model("resnet");  // of 32 pixels
  EXPECT_EQ(message_of<Error>([&] {
              model.module()->visual->forward(at::zeros({1, 3, 64, 64}), at::kFloat);
            }),
            "[ModifiedResNet] pixels: expected 32x32, got 64x64");
  const auto align = peer_model("hf_align");  // one of strides alone, which takes any that leaves a place
  EXPECT_NO_THROW(align.module()->visual->forward(at::zeros({1, 3, 40, 72}), at::kFloat));
  EXPECT_NE(message_of<Error>([&] {
              align.module()->visual->forward(at::zeros({1, 3, 2, 2}), at::kFloat);
            }).find("[EfficientNet] pixels: expected"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::inputs_test
