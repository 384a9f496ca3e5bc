// Pictures in their own aspect ratio (tests/fixtures/make_naflex.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/naflex_patches.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/naflex.hpp"

namespace vlalign::naflex_pictures_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;

const fs::path towers = fs::path(VLALIGN_FIXTURES) / "towers";

Image picture(int width, int height) {
  Image image{.width = width, .height = height, .rgb = {}};
  for (int i = 0; i < 3 * width * height; ++i) image.rgb.push_back(static_cast<std::uint8_t>((i * 37 + i / 91) % 251));
  return image;
}

TEST(PatchGrid, FollowsThePeersRule) {
  const auto cases = nlohmann::json::parse(read_file(towers / "patch_grids.json"));
  ASSERT_GT(cases.size(), 100U);
  for (const auto& [width, height, patch_size, most, rows, columns] : cases.get<std::vector<std::array<int, 6>>>())
    EXPECT_EQ(patch_grid(width, height, patch_size, most), (PatchGrid{rows, columns}))
        << width << "x" << height << " px in " << most << " patches of " << patch_size;
}

TEST(PatchGrid, NumbersThatCannotBeAreErrors) {
  EXPECT_NE(message_of<Error>([] { patch_grid(0, 4, 16, 256); }).find("positive numbers"), std::string::npos);
  EXPECT_NE(message_of<Error>([] { patch_grid(4, 4, 16, 0); }).find("positive numbers"), std::string::npos);
}

DualEncoder naflex(const std::string& name) {
  return test::peer_model(towers / name, towers / name / "open_clip_config.json");
}

TEST(NaFlexPictures, OneThatFillsItsPatchesIsTakenAsItIs) {
  const std::vector<Image> pictures{picture(20, 16)};  // 5 x 4 patches of 4 px, of which the tower takes 20
  const auto batch = naflex_patches(pictures, 4, 20, {.mean = {0, 0, 0}, .std = {1, 1, 1}});
  EXPECT_EQ(batch.grids[0][0].item<std::int64_t>(), 4);
  EXPECT_EQ(batch.grids[0][1].item<std::int64_t>(), 5);
  // Patch (1, 2), row 3, column 1, blue: of the pixel at x 9, y 7.
  EXPECT_NEAR(batch.pixels[0][7][(3 * 4 + 1) * 3 + 2].item<float>(), pictures[0].rgb[(7 * 20 + 9) * 3 + 2] / 255.0F,
              1e-6);
}

TEST(NaFlexPictures, GiveTheSameAloneAndBesideOthers) {
  const at::NoGradGuard no_grad;
  for (const auto* name : {"naflex_gap", "naflex_map", "naflex_siglip"}) {
    const auto model = naflex(name);
    const std::vector<Image> pictures{picture(40, 20), picture(9, 60), picture(33, 33)};
    const auto all = encode_pictures(model, pictures);
    for (std::size_t i = 0; i < pictures.size(); ++i)
      EXPECT_LT(test::largest_difference(encode_pictures(model, {&pictures[i], 1}),
                                         all.narrow(0, static_cast<std::int64_t>(i), 1)),
                1e-6);
    EXPECT_NEAR(all.norm(2, 1).min().item<double>(), 1, 1e-5);
  }
}

TEST(NaFlexPictures, NeedATowerThatTakesThem) {
  const std::vector<Image> pictures{picture(8, 8)};
  const auto plain = test::peer_model("vit");
  EXPECT_NE(message_of<Error>([&] { encode_pictures(plain, pictures); }).find("one size alone"), std::string::npos);
  EXPECT_NE(message_of<Error>([] { encode_pictures(naflex("naflex_gap"), {}); }).find("no pictures"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::naflex_pictures_test
