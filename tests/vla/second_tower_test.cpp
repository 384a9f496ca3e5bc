// A frozen tower beside the encoder's, against its peer's hidden states (tests/fixtures/make_image_towers.py).
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "small_policy.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/tower.hpp"
#include "vlalign/vla/fusion/fusion.hpp"
#include "vlalign/vla/head/make_head.hpp"
#include "vlalign/vla/live_policy.hpp"

namespace vlalign::vla::second_tower_test {
namespace {

namespace fs = std::filesystem;
using test::config_of;
using test::message_of;
using test::TempFolder;

// A DINOv2 of two layers and width 16 that sees 3 x 3 patches of 4 px, a class token and three registers in front.
const auto folder_of_second = fs::path(VLALIGN_FIXTURES) / "towers" / "image_dinov2_with_registers";
constexpr std::int64_t places = 9, prefix = 4, side = 12, own_width = 32, second_width = 16;

DualEncoder encoder_of(std::int64_t patch_size = 4) {
  auto config = test::towers().config();
  config.vision = VitConfig{.patch_size = patch_size, .width = own_width, .layers = 1, .head_width = 16};
  config.preprocess.image_size = static_cast<int>(side / 4 * patch_size);
  auto model = DualEncoder::create(config, test::towers().tokenizer(), 1);
  model.train(false);
  return model;
}

PolicyConfig with_second(const std::string& fusion, std::optional<int> image_size = {}) {
  auto config = config_of(fusion, "l1");
  config.second_tower = ImageTower::load(folder_of_second, image_size);
  return config;
}

class SeenTokens : public Fusion {
 public:
  SeenTokens(const FusionSizes& sizes, nn::Initializer& initializer)
      : Fusion("SeenTokens", sizes, {.visual_tokens = true}, initializer),
        proj(projection("proj", sizes.visual_tokens, initializer)) {}
  std::shared_ptr<nn::Linear> proj;
  mutable Tensor seen;

 protected:
  Tensor fuse(const FusionInput& input) const override {
    seen = input.visual_tokens;
    return with_state(proj->forward(input.visual_tokens), input);
  }
};

at::Tensor row(const std::array<double, 3>& values) {
  return at::tensor(std::vector<double>(values.begin(), values.end())).view({3, 1, 1}).to(at::kFloat);
}

/// Pixels that the second tower's peer was given, as the encoder's are normalised.
at::Tensor for_encoder(const at::Tensor& pixels, const Preprocess& encoder) {
  return (pixels * 0.5 + 0.5 - row(encoder.mean)) / row(encoder.std);  // DINOv2's fixture has mean and std 0.5
}

at::Tensor act(const Policy& policy, const at::Tensor& pixels) {
  const auto tokens = tokenize(*policy.encoder().tokenizer(), std::vector<std::string>{"go"}, 16);
  return policy.act(pixels, policy.read(tokens), at::zeros({pixels.size(0), 4}), Precision::fp32,
                    at::detail::createCPUGenerator(5));
}

EpisodeBatch batch_of(const DualEncoder& encoder) {
  const std::vector<std::string> texts(3, "go");
  return {.pixels = at::randn({3, 3, side, side}),
          .tokens = tokenize(*encoder.tokenizer(), texts, 16),
          .state = at::randn({3, 4}),
          .actions = at::randn({3, 3, 2}).clamp(-1, 1),
          .mask = {}};
}

TEST(SecondTower, ItsPeersHiddenStatesAreJoinedToTheTokensPlaceByPlace) {
  const auto expected = read_safetensors(folder_of_second / "expected.safetensors").tensors;
  const auto encoder = encoder_of();
  nn::Initializer initializer(4);
  const auto fusion = std::make_shared<SeenTokens>(
      FusionSizes{.visual_tokens = own_width + second_width, .state = 4, .width = 32}, initializer);
  for (const std::int64_t layer : {-2, -1}) {
    auto config = with_second("mine");
    config.second_layer = layer;
    Policy policy(encoder, fusion, make_head("l1", 32, config.actions, {}, initializer), config);
    policy.train(false);
    const auto pixels = for_encoder(expected.at("pixels"), encoder.config().preprocess);
    act(policy, pixels);
    const auto joined = fusion->seen - policy.module()->named_parameters()["positions"];
    const auto theirs = expected.at(layer == -2 ? "hidden.0" : "hidden.1").narrow(1, prefix, places);
    EXPECT_LT((joined.narrow(2, own_width, second_width) - theirs).abs().max().item<double>(), 1e-5);
    EXPECT_TRUE(joined.narrow(2, 0, own_width).allclose(encoder.image_features(pixels).tokens, 1e-6, 1e-6));
  }
}

TEST(SecondTower, ComesBackWithThePolicyAndItsFolderIsItsPeers) {
  const TempFolder folder;
  auto policy = Policy::create(encoder_of(), with_second("text_queries"), 3);
  policy.train(false);
  policy.save(folder.path() / "policy");
  policy.save(folder.path() / "policy");  // over its own
  const auto pixels = at::randn({2, 3, side, side});
  EXPECT_TRUE(act(policy, pixels).equal(act(Policy::load(folder.path() / "policy"), pixels)));

  const auto first = read_safetensors(folder_of_second / "model.safetensors").tensors;
  const auto again = read_safetensors(folder.path() / "policy" / "second_tower" / "model.safetensors").tensors;
  const std::string token = "embeddings.cls_token", table = "embeddings.position_embeddings";
  for (const auto& [name, tensor] : again) EXPECT_TRUE(name == token || name == table || tensor.equal(first.at(name)));
  EXPECT_TRUE((again.at(token) + again.at(table)[0][0]).equal(first.at(token) + first.at(table)[0][0]));
  EXPECT_TRUE(again.at(table).narrow(1, 1, 25).equal(first.at(table).narrow(1, 1, 25)));
  EXPECT_EQ(again.size() + 1, first.size());  // all but the token that masks patches in pre-training
}

TEST(SecondTower, StaysAsItIsWhileAllElseLearns) {
  const auto encoder = encoder_of();
  auto policy = Policy::create(encoder, with_second("text_queries"));
  policy.train();
  EXPECT_FALSE(policy.config().second_tower->module()->is_training());
  policy.loss(batch_of(encoder)).backward();
  for (const auto& item : policy.module()->named_parameters()) {
    if (item.key().starts_with("second_tower.")) {
      EXPECT_FALSE(item.value().requires_grad()) << item.key();
    } else if (item.key().starts_with("encoder.visual.conv1")) {
      EXPECT_TRUE(item.value().grad().defined()) << item.key();
    }
  }
}

TEST(SecondTower, WeightsOfAnotherPolicyBringTheirSecondTower) {
  const TempFolder folder;
  auto policy = Policy::create(encoder_of(), with_second("text_queries"), 3);
  policy.train(false);
  policy.save(folder.path() / "policy");
  auto other = Policy::create(encoder_of(), with_second("text_queries"), 4);
  other.train(false);
  {
    const at::NoGradGuard no_graph;
    for (auto& parameter : other.config().second_tower->module()->parameters()) parameter.fill_(0.5);
  }
  other.load_weights(folder.path() / "policy");
  const auto pixels = at::randn({2, 3, side, side});
  EXPECT_TRUE(act(policy, pixels).equal(act(other, pixels)));
}

TEST(SecondTower, SeesAsManyPlacesInPicturesOfAnotherSize) {
  const auto encoder = encoder_of(/*patch_size=*/8);  // 24 px for the encoder, 12 for the other
  auto policy = Policy::create(encoder, with_second("token_learner"));
  LivePolicy robot(policy);
  robot.set_instruction("go");
  const std::vector<std::uint8_t> frame(3 * 40 * 30, 90);
  std::vector<float> action(2), state(4);
  robot.act(ImageView(frame, 40, 30, ImageView::Format::rgb), state, action);
  EXPECT_TRUE(std::isfinite(action[0]));
}

TEST(SecondTower, SaysWhatDoesNotGoTogether) {
  const auto complaint = [](const DualEncoder& encoder, const PolicyConfig& config) {
    return message_of<Error>([&] { Policy::create(encoder, config); });
  };
  EXPECT_EQ(complaint(encoder_of(), with_second("text_queries", 20)),
            "[Policy] second_tower: sees 25 places in 20 px, the encoder's 9: load it in the image size that gives as "
            "many");
  EXPECT_EQ(complaint(encoder_of(), with_second("tiled_product")),
            "[Policy] second_tower: the fusion tiled_product reads no patch tokens that its own could be joined to");
  auto config = with_second("text_queries");
  config.second_layer = 2;
  EXPECT_NE(complaint(encoder_of(), config), "");
}

TEST(ImageTower, GivesWhatItsPeerGivesWithoutAGraph) {
  const auto expected = read_safetensors(folder_of_second / "expected.safetensors").tensors;
  const auto tower = ImageTower::load(folder_of_second);
  const std::vector<std::int64_t> layers{0};
  const auto features = tower.features(expected.at("pixels"), layers);
  EXPECT_LT((features.pooled - expected.at("pooled")).abs().max().item<double>(), 1e-5);
  EXPECT_LT((features.hidden[0] - expected.at("hidden.0")).abs().max().item<double>(), 1e-5);
  EXPECT_FALSE(features.pooled.requires_grad());
  EXPECT_FALSE(features.embedding.defined());
  EXPECT_THROW(tower.features(at::zeros({3, side, side})), Error);
  EXPECT_THROW(ImageTower::load(folder_of_second, 2), Error);  // half a patch
  EXPECT_THROW(ImageTower::load(folder_of_second / "nowhere"), Error);
}

}  // namespace
}  // namespace vlalign::vla::second_tower_test
