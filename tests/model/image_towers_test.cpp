// Image towers that stand alone, against the peer that wrote them (tests/fixtures/make_image_towers.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "config/config_fields.hpp"
#include "core/io/files.hpp"
#include "core/json/json_section.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/image_family.hpp"
#include "model/peers/image_tower_folder.hpp"
#include "model/peers/timm_dino.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/normalize.hpp"
#include "vlalign/model/image_tower.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/modified_resnet.hpp"
#include "vlalign/nn/projection.hpp"
#include "vlalign/nn/resnet.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::image_towers_test {
namespace {

namespace fs = std::filesystem;
using test::largest_difference;
using test::message_of;
using test::TempFolder;

constexpr double close = 1e-5;

fs::path tower_fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / ("image_" + name); }
fs::path text_fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / ("text_" + name); }

/// A tower with the peer's weights, and how the peer names them.
struct PeersTower {
  std::shared_ptr<nn::Vit> vit;
  TowerSource source;
  NamedTensors expected;
};

/// timm's names fix its towers' sizes, so that a small one has the family's scheme and a config of its own.
VitConfig small_timm_tower(const std::string& name) {
  auto vit = name == "timm_dinov2" ? dinov2_vit() : dinov3_vit();
  vit.patch_size = 4, vit.width = 16, vit.layers = 2, vit.head_width = 8, vit.mlp_ratio = 2;
  if (name == "timm_dinov2") vit.registers = 4, vit.class_position = false;
  if (name != "timm_dinov3") vit.block.mlp = BlockConfig::Mlp::gated, vit.activation = Activation::silu;
  if (name == "timm_dinov3") vit.block.qkv_bias = BlockConfig::QkvBias::all_but_keys;
  if (name == "timm_dinov3_gated") vit.block.qkv_bias = BlockConfig::QkvBias::none;
  return vit;
}

PeersTower peers_tower(const std::string& name) {
  const auto folder = tower_fixture(name);
  PeersTower tower;
  tower.expected = read_safetensors(folder / "expected.safetensors").tensors;
  const auto side = tower.expected.at("pixels").size(2);
  VisionConfig vision;
  if (name.starts_with("timm")) {
    vision = small_timm_tower(name);
    const auto& family = name == "timm_dinov2" ? timm_dinov2_family : timm_dinov3_family;
    tower.source = {"timm", {}, family.schemes(vision), "visual."};
    for (const auto& [key, tensor] : read_safetensors(folder / "model.safetensors").tensors)
      tower.source.tensors.emplace("visual.trunk." + key, tensor);
  } else {
    const auto config = read_image_config(folder);
    EXPECT_EQ(config.preprocess.image_size, side);
    vision = config.vision;
    tower.source = image_tower_alone(folder, config);
  }
  nn::Initializer initializer(1);
  tower.vit = std::make_shared<nn::Vit>(std::get<VitConfig>(vision), side, 16, initializer);
  assign_tower(*tower.vit, tower.source);
  tower.vit->eval();
  return tower;
}

class ImageTower : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Transformers, ImageTower,
                         testing::Values("dinov2", "dinov2_gated", "dinov2_with_registers", "dinov3", "dinov3_gated",
                                         "clip", "clip_alone", "siglip", "vit"));
INSTANTIATE_TEST_SUITE_P(Timm, ImageTower, testing::Values("timm_dinov2", "timm_dinov3", "timm_dinov3_gated"));

TEST_P(ImageTower, GivesThePeersFeaturesTokensAndHiddenStates) {
  const at::NoGradGuard no_graph;
  const auto [vit, source, expected] = peers_tower(GetParam());
  const std::vector<std::int64_t> layers{0, 1};
  const auto features = vit->features(expected.at("pixels"), at::kFloat, layers);
  EXPECT_LT(largest_difference(features.pooled, expected.at("pooled")), close);
  EXPECT_LT(largest_difference(features.tokens, expected.at("tokens")), close);
  EXPECT_LT(largest_difference(features.hidden[0], expected.at("hidden.0")), close);
  EXPECT_LT(largest_difference(features.hidden[1], expected.at("hidden.1")), close);
  EXPECT_LT(largest_difference(vit->forward(expected.at("pixels"), at::kFloat), expected.at("pooled")), close);
}

TEST_P(ImageTower, HoldsThePeersTensorsBitForBit) {
  const auto [vit, source, expected] = peers_tower(GetParam());
  const auto ours = peer_tensors(*vit, source.schemes, {}, source.prefix);
  EXPECT_EQ(ours.size(), source.tensors.size());
  for (const auto& [name, tensor] : source.tensors) EXPECT_TRUE(ours.at(name).equal(tensor)) << name;
}

/// Of sum(pooled * direction), under the peer's names.
NamedTensors gradients_of(const PeersTower& tower) {
  tower.vit->zero_grad();
  (tower.vit->forward(tower.expected.at("pixels"), at::kFloat) * tower.expected.at("direction")).sum().backward();
  NamedTensors gradients;
  for (const auto& item : tower.vit->named_parameters())
    gradients[item.key()] = item.value().grad().defined() ? item.value().grad().clone() : at::zeros_like(item.value());
  return peer_tensors(*tower.vit, tower.source.schemes, gradients, tower.source.prefix);
}

/// The peer's, which may leave its inner model's name out and keep the class token's position with the others'.
at::Tensor peers_gradient(const PeersTower& tower, std::string name, const at::Tensor& ours) {
  for (const std::string inner : {"vision_model.", "visual.trunk."}) {
    if (name.starts_with(inner) && !tower.expected.contains("gradient." + name)) name = name.substr(inner.size());
  }
  const auto& gradient = tower.expected.at("gradient." + name);
  const bool position = gradient.dim() == 3 && gradient.size(1) == ours.size(1) + 1;
  return position ? gradient.narrow(1, 1, ours.size(1)) : gradient;
}

TEST_P(ImageTower, HasThePeersGradients) {
  const auto tower = peers_tower(GetParam());
  for (const auto& [name, ours] : gradients_of(tower)) {
    const auto theirs = peers_gradient(tower, name, ours);
    const auto scale = std::max(1e-2, theirs.abs().max().item<double>());
    EXPECT_LT(largest_difference(ours, theirs) / scale, 1e-4) << name;
  }
}

TEST_P(ImageTower, HasTheSameGradientsFromCheckpoints) {
  const auto tower = peers_tower(GetParam());
  const auto kept = gradients_of(tower);
  tower.vit->transformer->checkpoints = true;
  for (const auto& [name, ours] : gradients_of(tower)) EXPECT_LT(largest_difference(ours, kept.at(name)), 1e-6) << name;
}

TEST_P(ImageTower, RunsInBfloat16) {
  const at::NoGradGuard no_graph;
  const auto [vit, source, expected] = peers_tower(GetParam());
  const auto pooled = vit->forward(expected.at("pixels"), at::kBFloat16).to(at::kFloat);
  EXPECT_LT(largest_difference(pooled, expected.at("pooled")), 0.1);
}

ModelConfig small_model() { return test::peer_model("vit").config(); }

DualEncoder model_with(const fs::path& tower) {
  auto model = DualEncoder::create(with_image_tower(small_model(), tower), test::byte_tokenizer());
  model.load_image_tower(tower);
  model.train(false);
  return model;
}

TEST(WithImageTower, TakesTheFoldersNetworkWeightsAndPreprocessing) {
  const at::NoGradGuard no_graph;
  const auto model = model_with(tower_fixture("dinov2"));
  const auto expected = read_safetensors(tower_fixture("dinov2") / "expected.safetensors").tensors;
  EXPECT_EQ(model.config().preprocess.image_size, 12);
  EXPECT_EQ(model.config().preprocess.mean, (std::array{0.5, 0.5, 0.5}));
  EXPECT_EQ(std::get<VitConfig>(model.config().vision).position_side, 5);
  EXPECT_LT(largest_difference(model.image_features(expected.at("pixels")).pooled, expected.at("pooled")), close);
}

TEST(WithImageTower, TakesTheProjectionOfHalfAModel) {
  const at::NoGradGuard no_graph;
  const auto tower = tower_fixture("clip");
  const auto model = model_with(tower);
  const auto expected = read_safetensors(tower / "expected.safetensors").tensors;
  const auto weight = read_safetensors(tower / "model.safetensors").tensors.at("visual_projection.weight");
  ASSERT_EQ(weight.size(0), model.config().embed_dim);
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")),
                               l2_normalize(at::matmul(expected.at("pooled"), weight.t()))),
            close);
}

TEST(WithImageTower, ReadsPicturesOfAnotherSize) {
  const at::NoGradGuard no_graph;
  const auto tower = tower_fixture("dinov2");
  auto model = DualEncoder::create(with_image_tower(small_model(), tower, 20), test::byte_tokenizer());
  model.load_image_tower(tower);
  EXPECT_EQ(model.config().preprocess.image_size, 20);
  EXPECT_EQ(std::get<VitConfig>(model.config().vision).position_resize, VitConfig::PositionResize::bicubic_antialiased);
}

// Each place's embedding, bicubic over the grid with antialiasing, as open_clip's resize_pos_embed does it.
TEST(ImageTowerAlone, HalfAModelsPositionsAreResizedOverTheGrid) {
  for (const auto* name : {"clip", "siglip"}) {
    const auto tensors = read_safetensors(tower_fixture(name) / "model.safetensors").tensors;
    const auto key = std::find_if(tensors.begin(), tensors.end(),
                                  [](const auto& entry) { return entry.first.ends_with("position_embedding.weight"); });
    ASSERT_NE(key, tensors.end());
    const std::int64_t prefix = name == std::string("clip") ? 1 : 0, width = key->second.size(1);
    const auto grid = key->second.narrow(0, prefix, 9).t().reshape({1, width, 3, 3}).to(at::kDouble);
    const auto expected = at::_upsample_bicubic2d_aa(grid, {5, 5}, false).reshape({width, 25}).t();
    const auto tower = vlalign::ImageTower::load(tower_fixture(name), 20);
    const auto& table = std::dynamic_pointer_cast<nn::Vit>(tower.module())->positional_embedding;
    EXPECT_LT(largest_difference(table.narrow(0, prefix, 25), expected), 1e-6) << name;
    EXPECT_TRUE(table.narrow(0, 0, prefix).equal(key->second.narrow(0, 0, prefix)));
  }
}

// DINOv3ConvNextModel (tests/fixtures/make_conv_towers.py).
TEST(ImageTowerAlone, IsAConvNextUnderDinov3sNames) {
  const TempFolder folder;
  const auto fixture = fs::path(VLALIGN_FIXTURES) / "towers" / "dinov3_convnext";
  auto tensors = read_safetensors(fixture / "peer.safetensors").tensors;
  const auto pooled = tensors.at("expected.pooled");
  tensors.erase("expected.pooled"), tensors.erase("side");
  fs::copy(fixture / "config.json", folder.path() / "config.json");
  write_safetensors(folder.path() / "model.safetensors", tensors, {});
  const auto pixels = (at::arange(2 * 3 * 40 * 40, at::kDouble) * 0.37).sin().view({2, 3, 40, 40}).to(at::kFloat);
  const auto tower = vlalign::ImageTower::load(folder.path());
  EXPECT_LT(largest_difference(tower.features(pixels).pooled, pooled), close);
  tower.write(folder.path());
  const auto again = read_safetensors(folder.path() / "model.safetensors").tensors;
  ASSERT_EQ(again.size(), tensors.size());
  for (const auto& [name, tensor] : again) EXPECT_TRUE(tensor.equal(tensors.at(name))) << name;
}

TEST(ImageTowerAlone, IsWrittenAsItsPeerHasIt) {
  const at::NoGradGuard no_graph;
  for (const auto* name : {"dinov2", "dinov3", "clip", "siglip", "vit"}) {
    const TempFolder folder;
    const auto first = read_safetensors(tower_fixture(name) / "model.safetensors").tensors;
    const auto expected = read_safetensors(tower_fixture(name) / "expected.safetensors").tensors;
    vlalign::ImageTower::load(tower_fixture(name)).write(folder.path());
    for (const auto& [key, tensor] : read_safetensors(folder.path() / "model.safetensors").tensors) {
      const auto there = std::find_if(first.begin(), first.end(), [&key = key](const auto& entry) {
        return entry.first.ends_with(key) || key.ends_with(entry.first);  // a wrapper's name may stand before
      });
      ASSERT_NE(there, first.end()) << name << ": " << key;
      EXPECT_TRUE(tensor.equal(there->second)) << name << ": " << key;
    }
    const auto again = vlalign::ImageTower::load(folder.path()).features(expected.at("pixels"));
    EXPECT_LT(largest_difference(again.pooled, expected.at("pooled")), close) << name;
  }
}

TEST(WithImageTower, SaysThatNoPeerHasATowerOfSuchSizes) {
  const TempFolder folder;
  const auto model = model_with(tower_fixture("dinov3"));
  EXPECT_NE(message_of<Error>([&] { model.save(folder.path() / "model"); }).find("open_clip's layout can't hold it"),
            std::string::npos);
}

TEST(WithImageTower, NamesAKindThatIsNotBuiltHere) {
  const TempFolder folder;
  write_file_atomically(folder.path() / "config.json", R"({"model_type": "swin"})");
  EXPECT_NE(message_of<Error>([&] { read_image_config(folder.path()); }).find("model_type \"swin\" is no image tower"),
            std::string::npos);
}

class TimmDino : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Names, TimmDino,
                         testing::Values("vit_small_patch14_dinov2", "vit_base_patch14_dinov2",
                                         "vit_giant_patch14_dinov2", "vit_large_patch14_reg4_dinov2",
                                         "vit_small_patch16_dinov3", "vit_base_patch16_dinov3_qkvb",
                                         "vit_small_plus_patch16_dinov3_qkvb", "vit_huge_plus_patch16_dinov3"));

TEST_P(TimmDino, ComesBackFromItsName) {
  for (const auto* pool : {"token", "avg"}) {
    const nlohmann::json config{{"embed_dim", 64},
                                {"vision_cfg",
                                 {{"timm_model_name", GetParam()},
                                  {"timm_pool", pool},
                                  {"timm_proj", "linear"},
                                  {"timm_drop_path", 0.1},
                                  {"image_size", 224}}},
                                {"text_cfg", nlohmann::json::object()}};
    const auto read = parse_model_config(config, {}, "config.json");
    const auto written = nlohmann::json::parse(to_open_clip_json(read));
    EXPECT_EQ(written.at("model_cfg").at("vision_cfg").at("timm_model_name"), GetParam());
    EXPECT_FALSE(first_difference(read, parse_model_config(written, {}, "open_clip_config.json")));
  }
}

TEST(TimmFolder, GivesTowerAndPreprocessing) {
  const TempFolder folder;
  write_file_atomically(folder.path() / "config.json", R"({
    "architecture": "vit_small_patch14_reg4_dinov2", "num_classes": 0, "num_features": 384, "global_pool": "token",
    "pretrained_cfg": {"input_size": [3, 518, 518], "interpolation": "bicubic", "crop_pct": 0.95,
                       "crop_mode": "center", "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]}})");
  const auto [vision, how] = read_image_config(folder.path());
  EXPECT_EQ(std::get<VitConfig>(vision).registers, 4);
  EXPECT_EQ(how.image_size, 518);
  EXPECT_EQ(how.resize_size, 545);
  EXPECT_EQ(how.mean[2], 0.3);
}

/// A file as robots' representations are published, converted from their pickles.
fs::path wrapped_file(const TempFolder& folder, const NamedTensors& tensors, const std::string& wrapper,
                      const NamedTensors& others) {
  auto all = others;
  for (const auto& [name, tensor] : tensors) all.emplace(wrapper + name, tensor);
  const auto file = folder.path() / "robot.safetensors";
  write_safetensors(file, all);
  return file;
}

TEST(RobotRepresentation, OfR3mOrVipIsAResNet) {
  const at::NoGradGuard no_graph;
  const TempFolder folder;
  nn::Initializer initializer(3);
  const ResNetConfig config{.layers = {1, 2, 1, 1}, .bottleneck = true, .width = 4};
  const auto resnet = std::make_shared<nn::ResNet>(config, initializer);
  resnet->eval();
  const auto file = wrapped_file(
      folder, peer_tensors(*resnet, {}), "module.convnet.",
      {{"module.convnet.fc.weight", at::zeros({4, 128})}, {"module.lang_rew.pred.0.weight", at::zeros({4, 4})}});
  auto model = DualEncoder::create(with_image_tower(small_model(), file, 64), test::byte_tokenizer());
  model.load_image_tower(file);
  model.train(false);
  const auto pixels = at::randn({2, 3, 64, 64});
  EXPECT_EQ(std::get<ResNetConfig>(model.config().vision).layers, config.layers);
  EXPECT_TRUE(model.image_features(pixels).pooled.equal(resnet->forward(pixels, at::kFloat)));
}

TEST(RobotRepresentation, OfLivIsClipsResNetWithItsProjection) {
  const at::NoGradGuard no_graph;
  const TempFolder folder;
  nn::Initializer initializer(4);
  nn::ModifiedResNet tower({.layers = {1, 1, 1, 1}, .width = 8}, 64, initializer);
  tower.eval();
  auto all = peer_tensors(tower, {}, {}, "visual.");
  const auto pooled_width = tower.width();
  all.emplace("visual.attnpool.c_proj.weight", at::randn({16, pooled_width}));
  all.emplace("visual.attnpool.c_proj.bias", at::randn({16}));
  const auto file = wrapped_file(folder, all, "module.model.", {});
  const auto config = with_image_tower(small_model(), file);
  ASSERT_EQ(config.preprocess.image_size, 64);
  auto model = DualEncoder::create(config, test::byte_tokenizer());
  model.load_image_tower(file);
  model.train(false);
  const auto pixels = at::randn({2, 3, 64, 64});
  EXPECT_LT(largest_difference(model.image_features(pixels).pooled, tower.forward(pixels, at::kFloat)), close);
}

TEST(RobotRepresentation, OfTheiaIsAVit) {
  const at::NoGradGuard no_graph;
  const TempFolder folder;
  nn::Initializer initializer(3);
  const VitConfig config{
      .patch_size = 16, .width = 64, .layers = 1, .norm_eps = 1e-12, .patch_bias = true, .ln_pre = false};
  nn::Vit vit(config, 224, 8, initializer);
  vit.eval();
  const auto file = wrapped_file(folder, peer_tensors(vit, image_vit.schemes(config), {}, "visual."), "backbone.model.",
                                 {{"translator.scale", at::zeros({1})}});
  const auto tower = read_image_config(file);
  auto model = DualEncoder::create(with_image_tower(small_model(), file), test::byte_tokenizer());
  model.load_image_tower(file);
  model.train(false);
  const auto pixels = at::randn({1, 3, 224, 224});
  EXPECT_LT(largest_difference(model.image_features(pixels).pooled, vit.forward(pixels, at::kFloat)), close);
}

class TextHalf : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Transformers, TextHalf, testing::Values("clip", "siglip"));

TEST_P(TextHalf, GivesThePeersFeaturesAndItsProjection) {
  const at::NoGradGuard no_graph;
  const auto folder = text_fixture(GetParam());
  const auto expected = read_safetensors(folder / "expected.safetensors").tensors;
  auto config = small_model();
  config.text = read_text_config(folder);
  config.embed_dim = expected.at("embedding").size(1);
  config.text_projection.bias = std::string(GetParam()) == "siglip";
  config.layout = Layout::open_clip;
  DualEncoder model(DualEncoder::create(config, test::byte_tokenizer()));
  model.load_text_tower(folder);
  model.train(false);
  const auto& text = *model.module()->text_projection;
  const auto pooled = model.text_features(expected.at("tokens")).pooled;
  EXPECT_LT(largest_difference(pooled, expected.at("pooled")), close);
  EXPECT_LT(largest_difference(text.forward(pooled), expected.at("embedding")), close);
}

}  // namespace
}  // namespace vlalign::image_towers_test
