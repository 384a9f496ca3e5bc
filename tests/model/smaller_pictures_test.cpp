#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::smaller_pictures_test {
namespace {

using test::largest_difference;

TEST(SmallerPictures, AreSeenAsOpenClipsModelOfThatSizeSeesThem) {
  const auto figures = read_safetensors(test::model_fixture("positions.safetensors")).tensors;
  const auto model = test::peer_model("open_clip_normed_average");
  const auto& pixels = figures.at("smaller.pixels");
  auto& visual = *model.module()->visual;
  visual.input.image_size = pixels.size(2);
  const auto image = model.encode_image(pixels);
  EXPECT_LT(largest_difference(image, figures.at("smaller.image_embedding")), 1e-5);
  (image * figures.at("smaller.slope")).sum().backward();
  const auto positions = visual.named_parameters()["positional_embedding"];
  EXPECT_LT(largest_difference(positions.grad(), figures.at("smaller.gradient")), 1e-5);
}

TEST(SmallerPictures, AreRefusedByAModelThatIsNotSetToThem) {
  const auto model = test::peer_model("open_clip_normed_average");
  const auto pixels = read_safetensors(test::model_fixture("positions.safetensors")).tensors.at("smaller.pixels");
  EXPECT_EQ(test::message_of<Error>([&] { model.encode_image(pixels); }),
            "[encode_image] pixels: expected [B, 3, 16, 16], got [2, 3, 8, 8]");
}

}  // namespace
}  // namespace vlalign::smaller_pictures_test
