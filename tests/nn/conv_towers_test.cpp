// Towers with convolutions against timm and transformers (tests/fixtures/make_conv_towers.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/timm_family.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/checkpointing.hpp"
#include "vlalign/nn/convnext.hpp"
#include "vlalign/nn/fastvit.hpp"
#include "vlalign/nn/lora.hpp"
#include "vlalign/nn/vit.hpp"

namespace vlalign::nn::conv_towers_test {
namespace {

using test::message_of;

struct MakeSmall {
  std::int64_t side;

  std::shared_ptr<Tower> operator()(const ConvNextConfig& c) const { return std::make_shared<ConvNext>(c, *start()); }
  std::shared_ptr<Tower> operator()(const FastVitConfig& c) const { return std::make_shared<FastVit>(c, *start()); }
  std::shared_ptr<Tower> operator()(const VitConfig& c) const {
    return std::make_shared<Vit>(c, side, /*embed_dim=*/1, *start());
  }
  template <typename Other>
  std::shared_ptr<Tower> operator()(const Other&) const {
    return nullptr;
  }
  static std::unique_ptr<Initializer> start() { return std::make_unique<Initializer>(1); }
};

struct Kind {
  const char* name;
  VisionConfig config;
  const TimmFamily* family;
};

std::vector<Kind> kinds() {
  const ConvNextConfig convnext{.layers = {1, 1, 2, 1}, .widths = {4, 8, 8, 16}, .norm_eps = 1e-5};
  const FastVitConfig fastvit{.layers = {1, 2, 1}, .widths = {8, 16, 32}, .mlp_ratio = 1};
  auto folded = fastvit, second = fastvit;
  folded.folded = true;
  second.layers = {1, 1, 1}, second.widths = {8, 32, 32}, second.attention_stages = 2;
  second.squeeze_downsamples = second.stem_scale_branch = false, second.layer_norm = true;
  VitConfig mobile_clip{.patch_size = 16, .front = VitConfig::Front::mobile_clip, .width = 32, .layers = 2};
  mobile_clip.head_width = 16, mobile_clip.norm_eps = 1e-6, mobile_clip.ln_pre = false;
  mobile_clip.class_position = false;
  auto vitamin = mobile_clip;
  vitamin.front = VitConfig::Front::vitamin, vitamin.front_widths = {4, 4, 8}, vitamin.front_layers = {1, 2};
  vitamin.pool = VitConfig::Pool::average, vitamin.class_token = false, vitamin.class_position = true;
  vitamin.norm_after_pool = true, vitamin.mlp_ratio = 2;
  vitamin.block = {.mlp = BlockConfig::Mlp::gated, .mlp_input_norm = true};
  return {{"convnext", convnext, &timm_convnext_family},    {"fastvit", fastvit, &timm_fastvit_family},
          {"fastvit_folded", folded, &timm_fastvit_family}, {"fastvit_second", second, &timm_fastvit_family},
          {"mobile_clip", mobile_clip, &timm_mci_family},   {"vitamin", vitamin, &timm_vitamin_family}};
}

at::Tensor waves(at::IntArrayRef shape) {
  return (at::arange(c10::multiply_integers(shape), at::kDouble) * 0.37).sin().view(shape).to(at::kFloat);
}

NamedTensors part(const NamedTensors& all, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : all)
    if (name.starts_with(prefix)) found.emplace(name.substr(prefix.size()), tensor);
  return found;
}

NamedTensors figures(const std::string& name) {
  return read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "towers" / name / "peer.safetensors").tensors;
}

void expect_close(const at::Tensor& ours, const at::Tensor& theirs, double close, const std::string& what) {
  ASSERT_EQ(ours.sizes(), theirs.sizes()) << what;
  EXPECT_LT((ours - theirs).abs().max().item<double>(), close * std::max(1.0, theirs.abs().max().item<double>()))
      << what;
}

/// The peer's tower, evaluating.
struct Peer {
  explicit Peer(const Kind& kind) : all(figures(kind.name)), weights(part(all, "visual.")) {
    const auto side = all.at("side").item<std::int64_t>();
    tower = std::visit(MakeSmall{side}, kind.config);
    schemes = kind.family->schemes(kind.config);
    pixels = waves({2, 3, side, side});
    NamedTensors under_timms_names;
    for (const auto& [name, tensor] : weights) under_timms_names.emplace("visual." + name, tensor);
    assign_tensors(named(), under_timms_names, kind.name);
    tower->eval();
  }
  NamedTensors named() const { return peer_tensors(*tower, schemes, {}, "visual."); }

  /// Those of (pooled * waves).sum() for the parameters, under the peer's names.
  NamedTensors gradients() {
    tower->zero_grad();
    const auto pooled = tower->forward(pixels, at::kFloat);
    (pooled * waves(pooled.sizes())).sum().backward();
    NamedTensors ours;
    for (const auto& item : tower->named_parameters()) ours.emplace(item.key(), item.value().grad());
    auto under_peers_names = peer_tensors(*tower, schemes, ours, "visual.");
    under_peers_names.emplace("pooled", pooled.detach());
    return under_peers_names;
  }

  NamedTensors all, weights;
  std::shared_ptr<Tower> tower;
  NamingSchemes schemes;
  at::Tensor pixels;
};

class ConvTower : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, ConvTower, testing::ValuesIn(kinds()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(ConvTower, GivesThePeersFeatures) {
  for (const bool with_graph : {false, true}) {  // without one a FastViT computes with folded convolutions
    const at::AutoGradMode mode(with_graph);
    Peer peer(GetParam());
    const auto expected = part(peer.all, "expected.");
    std::vector<std::int64_t> layers;
    while (expected.contains("hidden." + std::to_string(layers.size()))) layers.push_back(std::ssize(layers));
    ASSERT_FALSE(layers.empty());
    const auto features = peer.tower->features(peer.pixels, at::kFloat, layers);
    expect_close(features.pooled, expected.at("pooled"), 1e-5, "pooled");
    expect_close(peer.tower->forward(peer.pixels, at::kFloat), expected.at("pooled"), 1e-5, "forward");
    if (expected.contains("map")) expect_close(features.map, expected.at("map"), 1e-5, "map");
    for (std::size_t i = 0; i < layers.size(); ++i)
      expect_close(features.hidden[i], expected.at("hidden." + std::to_string(i)), 1e-5, "layer " + std::to_string(i));
    for (std::size_t i = 0; i < layers.size(); ++i)
      EXPECT_EQ(features.hidden[i].size(features.map.defined() ? 1 : 2), peer.tower->layer_widths()[i]);
  }
}

TEST_P(ConvTower, GivesThePeersTensorsBack) {
  const Peer peer(GetParam());
  const auto ours = peer.named();
  EXPECT_EQ(ours.size(), peer.weights.size());
  for (const auto& [name, tensor] : peer.weights) EXPECT_TRUE(ours.at("visual." + name).equal(tensor)) << name;
}

TEST_P(ConvTower, TrainsLikeThePeer) {
  Peer peer(GetParam());
  const auto theirs = part(peer.all, "gradient.");
  if (theirs.empty()) return;  // the peer's folded form is for inference
  peer.tower->train();
  const auto ours = peer.gradients();
  expect_close(ours.at("pooled"), peer.all.at("trained.pooled"), 1e-4, "pooled");
  double longest = 0;  // whose roundings reach the others
  for (const auto& [name, summary] : theirs) longest = std::max(longest, summary[0].item<double>());
  for (const auto& [name, summary] : theirs) {
    const auto& gradient = ours.at(name);
    const auto length = summary[0].item<double>(), near = 1e-4 * length + 1e-6 * longest;
    EXPECT_NEAR(gradient.norm().item<double>(), length, near) << name;
    EXPECT_NEAR((gradient * waves(gradient.sizes())).sum().item<double>(), summary[1].item<double>(), near) << name;
  }
  for (const auto& [name, moved] : part(peer.all, "moved.")) expect_close(peer.named().at(name), moved, 1e-5, name);
}

TEST_P(ConvTower, CheckpointsChangeNoGradientAndNoStatistic) {
  Peer kept(GetParam()), again(GetParam());
  for (const auto& module : again.tower->modules()) {
    if (auto* blocks = dynamic_cast<Checkpointing*>(module.get())) blocks->checkpoints = true;
  }
  kept.tower->train(), again.tower->train();
  const auto a = kept.gradients(), b = again.gradients();
  for (const auto& [name, gradient] : a) expect_close(b.at(name), gradient, 1e-6, name);
  const auto moved = kept.named();
  for (const auto& [name, tensor] : again.named()) EXPECT_TRUE(tensor.equal(moved.at(name))) << name;
}

TEST_P(ConvTower, ComputesInBfloat16) {
  const at::NoGradGuard no_grad;
  Peer peer(GetParam());
  const auto pooled = peer.tower->forward(peer.pixels, at::kBFloat16).to(at::kFloat);
  expect_close(pooled, peer.all.at("expected.pooled"), 0.05, "pooled");
}

TEST_P(ConvTower, HasGroupsFromTheInputToTheOutput) {
  const Peer peer(GetParam());
  std::set<std::int64_t> groups;
  for (const auto& item : peer.tower->named_parameters()) groups.insert(peer.tower->group_of(item.key()));
  EXPECT_EQ(std::ssize(groups), peer.tower->group_count());
  EXPECT_EQ(*groups.begin(), 0);
  EXPECT_EQ(*groups.rbegin(), peer.tower->group_count() - 1);
}

TEST_P(ConvTower, GoesOnWithWhatAHookReturns) {
  const at::NoGradGuard no_grad;
  Peer peer(GetParam());
  std::vector<std::int64_t> called;
  const auto zeros = [&](std::int64_t layer, const at::Tensor& x) { return called.push_back(layer), x * 0; };
  const auto features = peer.tower->hooked_features(peer.pixels, at::kFloat, {}, zeros);
  EXPECT_EQ(called.size(), peer.tower->layer_widths().size());
  EXPECT_LT((features.pooled[0] - features.pooled[1]).abs().max().item<double>(), 1e-6) << "pictures look alike now";
}

TEST_P(ConvTower, TakesAnAdapterThatStartsAsNothing) {
  const at::NoGradGuard no_grad;
  Peer peer(GetParam());
  Initializer initializer(2);
  add_lora(*peer.tower, {.rank = 1, .modules = {"*"}}, initializer);
  expect_close(peer.tower->forward(peer.pixels, at::kFloat), peer.all.at("expected.pooled"), 1e-5, "pooled");
}

TEST(FastVit, FoldsAnewWhatHasChanged) {
  Peer peer(kinds()[1]);
  const auto agrees = [&](const char* what) {
    const auto branches = peer.tower->forward(peer.pixels, at::kFloat).detach();
    const at::NoGradGuard no_grad;
    expect_close(peer.tower->forward(peer.pixels, at::kFloat), branches, 1e-5, what);
    return branches;
  };
  const auto first = agrees("as loaded");
  {
    const at::NoGradGuard no_grad;
    for (const auto& item : peer.tower->named_parameters()) item.value().mul_(1.1);
  }
  const auto second = agrees("behind a step");
  EXPECT_GT((first - second).abs().max().item<double>(), 1e-3);
  peer.tower->train();
  peer.tower->forward(peer.pixels * 3 + 1, at::kFloat);
  peer.tower->eval();
  const auto third = agrees("behind a pass of training");
  EXPECT_GT((second - third).abs().max().item<double>(), 1e-4);
}

TEST(ConvNext, LeavesPicturesOutOfABranchWhileItTrains) {
  auto config = std::get<ConvNextConfig>(kinds()[0].config);
  config.drop_path = 0.9;
  Initializer initializer(1);
  ConvNext tower(config, initializer);
  for (const auto& item : tower.named_parameters()) item.value().detach().add_(0.1);
  const auto pixels = waves({2, 3, 32, 32});
  EXPECT_FALSE(tower.forward(pixels, at::kFloat).equal(tower.forward(pixels, at::kFloat)));
  tower.eval();
  EXPECT_TRUE(tower.forward(pixels, at::kFloat).equal(tower.forward(pixels, at::kFloat)));
}

TEST(ConvPresets, ComeBackFromTheirOwnFiles) {
  for (const auto* name : {"convnext_tiny", "convnext_base_w", "convnext_large_d", "convnext_xlarge",
                           "convnext_xxlarge_320", "MobileCLIP-S1", "MobileCLIP-S2", "MobileCLIP2-S0", "MobileCLIP2-S3",
                           "MobileCLIP2-S4", "MobileCLIP-B", "MobileCLIP2-B", "ViTamin-S", "ViTamin-B-LTT", "ViTamin-L",
                           "ViTamin-L-384", "ViTamin-L2-336", "ViTamin-XL-256", "ViTamin-XL-384"}) {
    EXPECT_NO_THROW(check_comes_back(preset(name))) << name;
  }
  auto folded = preset("MobileCLIP2-S0");
  std::get<FastVitConfig>(folded.vision).folded = true;
  EXPECT_NO_THROW(check_comes_back(folded));
}

TEST(ConvPresets, RefuseWhatIsNotBuilt) {
  const auto error_of = [](const std::string& vision) {
    return message_of<Error>([&] {
      const auto text = R"({"embed_dim": 8, "text_cfg": {}, "vision_cfg": )" + vision + "}";
      read_open_clip_config(parse_json(text, "x"), "x.json");
    });
  };
  EXPECT_NE(error_of(R"({"timm_model_name": "convnext_base", "timm_pool": "rot_attn"})").find("timm_pool"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"timm_model_name": "convnext_base", "timm_pool": "", "timm_proj": null})").find("\"avg\""),
            std::string::npos);
  EXPECT_NE(error_of(R"({"timm_model_name": "vitamin_large_336", "image_size": 224})").find("336 pixels"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"timm_model_name": "fastvit_mci0", "timm_model_kwargs": {"fork_feat": true}})")
                .find("timm_model_kwargs.fork_feat"),
            std::string::npos);
}

TEST(FastVit, RefusesSizesThatCantBe) {
  Initializer initializer(1);
  const auto error_of = [&](const FastVitConfig& config) {
    return message_of<Error>([&] { FastVit(config, initializer); });
  };
  EXPECT_EQ(error_of({.layers = {1, 1}, .widths = {8}}),
            "[FastVit] layers and widths: expected as many stages each, 2 to 8, got 2 and 1");
  EXPECT_EQ(error_of({.layers = {1, 1}, .widths = {8, 24}}),
            "[FastVit] widths: heads of attention have 32 channels, 24 is no multiple of it");
  EXPECT_EQ(error_of({.layers = {1, 1}, .widths = {8, 12}}),
            "[FastVit] widths: 12 is no multiple of the 8 of the stage before");
}

}  // namespace
}  // namespace vlalign::nn::conv_towers_test
