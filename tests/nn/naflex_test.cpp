// ViTs on pictures of several shapes against timm's (tests/fixtures/make_naflex.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "model/peers/model_folder.hpp"
#include "model/peers/peer_names.hpp"
#include "nn/patches.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::naflex_test {
namespace {

namespace fs = std::filesystem;
using test::largest_difference;
using test::message_of;

fs::path fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / name; }
DualEncoder naflex(const std::string& name) {
  return test::peer_model(fixture(name), fixture(name) / "open_clip_config.json");
}
at::Tensor grid(std::int64_t rows, std::int64_t columns) { return at::tensor({rows, columns}).view({1, 2}); }
nn::Vit& vit_of(const DualEncoder& model) { return dynamic_cast<nn::Vit&>(*model.module()->visual); }

class NaFlex : public testing::TestWithParam<const char*> {
 protected:
  NamedTensors expected = read_safetensors(fixture(GetParam()) / "expected.safetensors").tensors;
  nn::Patches patches() const { return {expected.at("patches"), expected.at("grids")}; }
};
INSTANTIATE_TEST_SUITE_P(Timm, NaFlex, testing::Values("naflex_gap", "naflex_map", "naflex_siglip"));

TEST_P(NaFlex, GivesThePeersEmbeddingsOfSquarePictures) {
  const at::NoGradGuard no_grad;
  const auto model = naflex(GetParam());
  const std::vector<std::int64_t> layers{0, 1};
  const auto features = model.image_features(expected.at("pixels"), layers);
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), 1e-5);
  EXPECT_LT(largest_difference(features.embedding, expected.at("image_embedding")), 1e-5);
  EXPECT_LT(largest_difference(features.hidden[0], expected.at("image_hidden.0")), 5e-5);
  EXPECT_LT(largest_difference(features.hidden[1], expected.at("image_hidden.1")), 5e-5);
}

TEST_P(NaFlex, GivesThePeersVectorsOfPicturesOfSeveralShapes) {
  const at::NoGradGuard no_grad;
  const auto model = naflex(GetParam());
  EXPECT_LT(largest_difference(vit_of(model).forward(patches(), at::kFloat), expected.at("pooled")), 1e-5);
  const auto features = vit_of(model).features(patches(), at::kFloat, {});
  EXPECT_LT(largest_difference(features.pooled, expected.at("pooled")), 1e-5);
  EXPECT_TRUE(features.mask.sum(1).equal(at::tensor({12, 6, 5})));
}

TEST_P(NaFlex, WhatStandsBehindAPicturesPatchesCountsForNothing) {
  const at::NoGradGuard no_grad;
  const auto model = naflex(GetParam());
  const auto alone = expected.at("patches").narrow(0, 1, 1).narrow(1, 0, 6);
  const auto pooled = vit_of(model).forward({alone, expected.at("grids").narrow(0, 1, 1)}, at::kFloat);
  EXPECT_LT(largest_difference(pooled, expected.at("pooled").narrow(0, 1, 1)), 1e-5);
}

TEST_P(NaFlex, ASquareOfPatchesIsTheSquarePicture) {
  const at::NoGradGuard no_grad;
  const auto model = naflex(GetParam());
  const auto pixels = expected.at("pixels");
  const nn::Patches cut{nn::cut_into_patches(pixels, 4), grid(6, 6).expand({4, 2})};
  EXPECT_LT(largest_difference(vit_of(model).forward(cut, at::kFloat), vit_of(model).forward(pixels, at::kFloat)),
            1e-5);
}

TEST_P(NaFlex, HasThePeersGradientsWithActivationsKeptOrNot) {
  for (const bool checkpoints : {false, true}) {
    auto model = naflex(GetParam());
    model.checkpoint_activations(checkpoints);
    (vit_of(model).forward(patches(), at::kFloat) * expected.at("weights")).sum().backward();
    NamedTensors gradients;
    for (const auto& item : model.module()->named_parameters())
      if (item.value().grad().defined()) gradients.emplace(item.key(), item.value().grad());
    const auto named = peer_tensors(*model.module(), naming_schemes(model.config(), Layout::open_clip), gradients);
    int compared = 0;
    for (const auto& [name, theirs] : expected) {
      constexpr std::string_view prefix = "gradient.";
      if (!name.starts_with(prefix)) continue;
      ++compared;
      const auto scale = std::max(1e-3, theirs.abs().max().item<double>());
      EXPECT_LT(largest_difference(named.at(name.substr(prefix.size())), theirs) / scale, 1e-4) << name;
    }
    EXPECT_GT(compared, 20);
  }
}

TEST_P(NaFlex, ComesBackBitForBitAndBuildsTheSameModel) {
  const at::NoGradGuard no_grad;
  const test::TempFolder folder;
  const auto place = folder.path() / "model";
  const auto model = naflex(GetParam());
  model.save(place);
  const auto before = read_folder_tensors(fixture(GetParam())).tensors, after = read_folder_tensors(place).tensors;
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    EXPECT_TRUE(tensor.equal(after.at(name))) << name;
  }
  const auto again = test::peer_model(place, place / "open_clip_config.json");
  EXPECT_TRUE(again.encode_image(expected.at("pixels")).equal(model.encode_image(expected.at("pixels"))));
}

TEST_P(NaFlex, RunsInBfloat16) {
  const at::NoGradGuard no_grad;
  const auto pooled = vit_of(naflex(GetParam())).forward(patches(), at::kBFloat16);
  EXPECT_LT(largest_difference(pooled.to(at::kFloat), expected.at("pooled")), 0.1);
}

TEST(NaFlexInputs, GridsThatDoNotFitAreErrors) {
  const auto model = naflex("naflex_gap");
  const auto pixels = at::randn({1, 12, 48});
  const auto message = [&](const at::Tensor& values, const at::Tensor& grids) {
    return message_of<Error>([&] { vit_of(model).forward({values, grids}, at::kFloat); });
  };
  EXPECT_NE(message(pixels, grid(4, 4)).find("1 to 12 patches"), std::string::npos);
  EXPECT_NE(message(pixels, grid(0, 4)).find("1 to 12 patches"), std::string::npos);
  EXPECT_NE(message(pixels, grid(3, 4)[0]).find("int64 [1, 2]"), std::string::npos);
  EXPECT_NE(message(at::randn({1, 12, 47}), grid(3, 4)).find("[B, N, 48]"), std::string::npos);
}

TEST(NaFlexConfig, TheNamedModelsAreRead) {
  for (const auto* name : {"ViT-B-16-SigLIP2-naflex", "ViT-SO400M-16-SigLIP2-naflex", "naflex_ViT-B-16",
                           "naflex_ViT-B-32", "moderntext-naflex_ViT-B-16", "moderntext-naflex_ViT-B-32",
                           "moderntext-naflex_ViT-B-deep-16", "moderntext-naflex_ViT-SO150M2-16"}) {
    const auto config = preset(name);
    const auto& vit = std::get<VitConfig>(config.vision);
    EXPECT_GT(vit.most_patches, 0) << name;
    EXPECT_GT(vit.position_side, 0) << name;
  }
  EXPECT_EQ(std::get<VitConfig>(preset("ViT-B-16-SigLIP2-naflex").vision).most_patches, 576);
  EXPECT_EQ(std::get<VitConfig>(preset("naflex_ViT-B-32").vision).patch_size, 32);
}

}  // namespace
}  // namespace vlalign::naflex_test
