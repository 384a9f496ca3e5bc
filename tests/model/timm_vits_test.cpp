// timm's Eva and VisionTransformer classes against the peer (tests/fixtures/make_timm_vits.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "config/config_fields.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/timm_family.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::timm_vits_test {
namespace {

using test::largest_difference;
using test::message_of;

constexpr std::int64_t side = 32;
constexpr double close = 1e-5;

VitConfig small_vit(double hidden) {
  return {.patch_size = 8,
          .width = 16,
          .layers = 2,
          .head_width = 8,
          .mlp_ratio = hidden / 16,
          .norm_eps = 1e-6,
          .patch_bias = true,
          .ln_pre = false,
          .block = {.qkv_bias = BlockConfig::QkvBias::all_but_keys}};
}

VitConfig small_pe_core() {
  auto vit = small_vit(40);
  vit.norm_eps = 1e-5;
  vit.pool = VitConfig::Pool::attention;
  vit.pool_heads = 4;
  vit.pool_mlp_ratio = 3;
  vit.patch_bias = false;
  vit.ln_pre = true;
  vit.rotary = RotaryConfig{.offset = 1, .reference = 6, .columns_first = true};
  vit.block.qkv_bias = BlockConfig::QkvBias::all;
  return vit;
}

VitConfig small_pe_core_gigantic() {
  auto vit = small_pe_core();
  vit.class_token = false;
  vit.rotary->offset = 0;
  return vit;
}

VitConfig small_eva_average() {
  auto vit = small_vit(48);
  vit.pool = VitConfig::Pool::average;
  vit.norm_after_pool = true;
  return vit;
}

VitConfig small_eva02_clip() {
  auto vit = small_vit(42);
  vit.activation = Activation::silu;
  vit.rotary = RotaryConfig{.reference = 6};
  vit.block.mlp = BlockConfig::Mlp::gated;
  vit.block.mlp_inner_norm = vit.block.inner_norm = true;
  return vit;
}

VitConfig small_eva02_enormous() {
  auto vit = small_vit(48);
  vit.block.placement = BlockConfig::Placement::behind_branch;
  return vit;
}

VitConfig small_clip() { return {.patch_size = 8, .width = 16, .layers = 2, .head_width = 8}; }

VitConfig small_medium() {
  auto vit = small_vit(64);
  vit.pool = VitConfig::Pool::average;
  vit.class_token = false;
  vit.layer_scale = 0.3;
  vit.block.qkv_bias = BlockConfig::QkvBias::none;
  return vit;
}

struct Kind {
  VitConfig vit;
  const TimmFamily* family;
};

const std::map<std::string, Kind>& kinds() {
  static const std::map<std::string, Kind> all{
      {"pe_core", {small_pe_core(), &timm_eva_family}},
      {"pe_core_gigantic", {small_pe_core_gigantic(), &timm_eva_family}},
      {"eva", {small_vit(48), &timm_eva_family}},
      {"eva_average", {small_eva_average(), &timm_eva_family}},
      {"eva02_clip", {small_eva02_clip(), &timm_eva_family}},
      {"eva02_enormous", {small_eva02_enormous(), &timm_eva_family}},
      {"clip", {small_clip(), &timm_vit_family}},
      {"medium", {small_medium(), &timm_vit_family}},
  };
  return all;
}

std::filesystem::path tower_fixture(const std::string& name) {
  return std::filesystem::path(VLALIGN_FIXTURES) / "towers" / name;
}

NamedTensors with_prefix(const NamedTensors& all, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) found.emplace(name, tensor);
  }
  return found;
}

class TimmVit : public testing::TestWithParam<const char*> {
 protected:
  const Kind& kind = kinds().at(GetParam());
  NamedTensors peer = read_safetensors(tower_fixture("timm_vit") / (GetParam() + std::string(".safetensors"))).tensors;
  NamedTensors weights = with_prefix(peer, "visual.trunk.");
  at::Tensor pixels = peer.at("pixels");

  /// With the peer's weights, evaluating.
  std::shared_ptr<nn::Vit> tower(const VitConfig& config) const {
    nn::Initializer initializer(1);
    auto vit = std::make_shared<nn::Vit>(config, side, 0, initializer);
    assign_tensors(tensors_of(*vit), weights, GetParam());
    vit->train(false);
    return vit;
  }
  std::shared_ptr<nn::Vit> tower() const { return tower(kind.vit); }
  NamedTensors tensors_of(const nn::Vit& vit) const {
    return peer_tensors(vit, kind.family->schemes(kind.vit), {}, "visual.");
  }
  /// Of the fixture's loss, by our names.
  NamedTensors gradients_of(nn::Vit& vit) const {
    (vit.forward(pixels, at::kFloat) * peer.at("weights")).sum().backward();
    NamedTensors gradients;
    for (const auto& item : vit.named_parameters()) gradients.emplace(item.key(), item.value().grad());
    return gradients;
  }
};
INSTANTIATE_TEST_SUITE_P(Timm, TimmVit,
                         testing::Values("pe_core", "pe_core_gigantic", "eva", "eva_average", "eva02_clip",
                                         "eva02_enormous", "clip", "medium"));

TEST_P(TimmVit, GivesThePeersFeatures) {
  const at::NoGradGuard no_grad;
  const auto vit = tower();
  const std::vector<std::int64_t> layers{0, 1};
  const auto features = vit->features(pixels, at::kFloat, layers);
  EXPECT_LT(largest_difference(vit->forward(pixels, at::kFloat), peer.at("pooled")), close);
  EXPECT_LT(largest_difference(features.pooled, peer.at("pooled")), close);
  EXPECT_LT(largest_difference(features.tokens, peer.at("tokens")), close);
  EXPECT_LT(largest_difference(features.hidden[0], peer.at("hidden.0")), close);
  EXPECT_LT(largest_difference(features.hidden[1], peer.at("hidden.1")), close);
}

TEST_P(TimmVit, GivesThePeersFeaturesOfLargerPictures) {
  const at::NoGradGuard no_grad;
  const auto vit = tower();
  const auto before = vit->forward(pixels, at::kFloat);
  vit->input.image_size = 48;
  EXPECT_LT(largest_difference(vit->forward(peer.at("pixels_larger"), at::kFloat), peer.at("pooled_larger")), close);
  vit->input.image_size = {};
  EXPECT_TRUE(vit->forward(pixels, at::kFloat).equal(before));
}

TEST_P(TimmVit, HoldsThePeersTensorsBitForBit) {
  const auto vit = tower();
  const auto ours = tensors_of(*vit);
  EXPECT_EQ(ours.size(), weights.size());
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(tensor.equal(ours.at(name))) << name;
}

TEST_P(TimmVit, HasThePeersGradients) {
  const auto vit = tower();
  const auto gradients = gradients_of(*vit);
  NamedTensors ours;
  for (const auto& [name, gradient] : peer_tensors(*vit, kind.family->schemes(kind.vit), gradients, "visual."))
    ours.emplace("grad." + name, gradient);
  for (const auto& [name, expected] : with_prefix(peer, "grad.")) {
    const auto largest = expected.abs().max().item<double>();
    EXPECT_LT(largest_difference(ours.at(name), expected), 1e-4 * largest + 1e-6) << name;
  }
}

TEST_P(TimmVit, HasTheSameGradientsWithCheckpoints) {
  const auto plain = tower(), checkpointed = tower();
  checkpointed->transformer->checkpoints = true;
  const auto expected = gradients_of(*plain), found = gradients_of(*checkpointed);
  for (const auto& [name, gradient] : expected) EXPECT_TRUE(gradient.equal(found.at(name))) << name;
}

TEST_P(TimmVit, RunsInBfloat16AndFollowsItsWeights) {
  const auto vit = tower();
  const auto expect_near = [&] {
    const at::NoGradGuard no_grad;
    const auto fine = vit->forward(pixels, at::kFloat), rough = vit->forward(pixels, at::kBFloat16).to(at::kFloat);
    EXPECT_LT(largest_difference(fine, rough), 0.05 * fine.abs().max().item<double>());
  };
  expect_near();
  const at::NoGradGuard no_grad;
  for (auto& parameter : vit->parameters()) parameter.mul_(-0.7);
  expect_near();
}

/// All patches are left in, in the order that the draw gives them: each must bring its position along.
TEST_P(TimmVit, TakesPatchesInAnyOrder) {
  const at::NoGradGuard no_grad;
  auto config = kind.vit;
  config.patch_dropout = 1e-17;
  const auto vit = tower(config);
  vit->train();
  EXPECT_LT(largest_difference(vit->forward(pixels, at::kFloat), peer.at("pooled")), close);
}

class CustomBlocks : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, CustomBlocks, testing::Values("open_clip_normed_blocks", "open_clip_cosine_blocks"));

TEST_P(CustomBlocks, GiveThePeersEmbeddingsAndGradients) {
  const auto folder = tower_fixture(GetParam());
  const auto model = test::peer_model(folder, folder / "open_clip_config.json");
  const auto expected = read_safetensors(folder / "expected.safetensors").tensors;
  const auto image = model.encode_image(expected.at("pixels")), text = model.encode_text(expected.at("tokens"));
  EXPECT_LT(largest_difference(image, expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(text, expected.at("text_embedding")), close);
  const auto loss = InfoNCE().forward({image, text, model.logit_scale()});
  EXPECT_NEAR(loss.item<double>(), expected.at("loss").item<double>(), 1e-5);
  loss.backward();
  NamedTensors gradients;
  for (const auto& item : model.module()->named_parameters()) gradients.emplace(item.key(), item.value().grad());
  const auto ours = peer_tensors(*model.module(), naming_schemes(model.config(), Layout::open_clip), gradients);
  for (const auto& [name, gradient] : ours) {
    const auto& theirs = expected.at("grad." + name);
    EXPECT_LT(largest_difference(gradient, theirs), 1e-4 * theirs.abs().max().item<double>() + 1e-6) << name;
  }
}

TEST_P(CustomBlocks, ComeBackFromAFolder) {
  const at::NoGradGuard no_grad;
  const test::TempFolder place;
  const auto folder = tower_fixture(GetParam());
  const auto model = test::peer_model(folder, folder / "open_clip_config.json");
  model.save(place.path() / "model");
  const auto again = test::peer_model(place.path() / "model", place.path() / "model" / "open_clip_config.json");
  const auto expected = read_safetensors(folder / "expected.safetensors").tensors;
  EXPECT_TRUE(again.encode_image(expected.at("pixels")).equal(model.encode_image(expected.at("pixels"))));
  EXPECT_TRUE(again.encode_text(expected.at("tokens")).equal(model.encode_text(expected.at("tokens"))));
}

class TimmVitPreset : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, TimmVitPreset,
                         testing::Values("PE-Core-T-16-384", "PE-Core-S-16-384", "PE-Core-B-16", "PE-Core-L-14-336",
                                         "PE-Core-bigG-14-448", "EVA01-g-14", "EVA01-g-14-plus", "EVA02-B-16",
                                         "EVA02-L-14", "EVA02-L-14-336", "EVA02-E-14", "EVA02-E-14-plus",
                                         "MobileCLIP2-L-14", "vit_medium_patch16_gap_256"));

TEST_P(TimmVitPreset, ComesBackFromTheConfigItIsWrittenAs) {
  const auto before = preset(GetParam());
  const auto json = nlohmann::json::parse(to_open_clip_json(before));
  EXPECT_TRUE(json["model_cfg"]["vision_cfg"].contains("timm_model_name"));
  const auto difference = first_difference(before, read_open_clip_config(json, "open_clip_config.json"));
  EXPECT_FALSE(difference) << difference->name << ": " << difference->a << " became " << difference->b;
}

std::string error_of_vision(const std::string& vision) {
  const auto root = nlohmann::json::parse(R"({"embed_dim": 8, "text_cfg": {}, "vision_cfg": )" + vision + "}");
  return message_of<Error>([&] { read_open_clip_config(root, "config.json"); });
}

TEST(TimmVitErrors, NameTheKey) {
  EXPECT_NE(error_of_vision(R"({"timm_model_name": "vit_pe_core_base_patch16_224", "timm_pool": "avg"})")
                .find("vision_cfg.timm_pool: vit_pe_core_base_patch16_224 is built here with \"map\", got \"avg\""),
            std::string::npos);
  EXPECT_NE(error_of_vision(R"({"timm_model_name": "vit_base_patch16_clip_224", "timm_pool": "token"})")
                .find("vision_cfg.timm_proj: vit_base_patch16_clip_224 is built here with null"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::timm_vits_test
