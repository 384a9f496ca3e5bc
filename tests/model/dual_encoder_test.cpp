#include "vlalign/model/dual_encoder.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/peers/peer_names.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::dual_encoder_test {
namespace {

namespace fs = std::filesystem;
using test::byte_tokenizer;
using test::largest_difference;
using test::message_of;
using test::peer_model;
using test::TempFolder;

fs::path fixture(const std::string& name) { return test::model_fixture(name); }

class PeerModel : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, PeerModel, testing::Values("vit", "resnet"));

TEST_P(PeerModel, GivesThePeersTrainingLossAndGradients) {
  auto model = peer_model(GetParam());
  model.train();
  const auto expected = read_safetensors(fixture(GetParam()) / "expected.safetensors").tensors;
  const auto loss = InfoNCE().forward(
      {model.encode_image(expected.at("pixels")), model.encode_text(expected.at("tokens")), model.logit_scale()});
  EXPECT_NEAR(loss.item<double>(), expected.at("loss").item<double>(), 1e-5);
  loss.backward();

  // Gradients under the peer's names: hang them on the module's parameters and rename.
  NamedTensors gradients;
  {
    at::NoGradGuard no_grad;
    for (auto& parameter : model.module()->parameters()) parameter.copy_(parameter.grad());
    gradients = peer_tensors(*model.module(), naming_schemes(model.config(), Layout::open_clip));
  }
  int compared = 0;
  for (const auto& [name, gradient] : expected) {
    if (!name.starts_with("grad.")) continue;
    ++compared;
    const double size = std::max(1e-3, gradient.abs().max().item<double>());
    EXPECT_LT(largest_difference(gradients.at(name.substr(5)), gradient) / size, 1e-3) << name;
  }
  EXPECT_EQ(static_cast<std::size_t>(compared), model.module()->parameters().size());
}

TEST(DualEncoder, LoadsWhatItSaved) {
  const TempFolder folder;
  auto model = peer_model("vit");
  model.train(false);
  model.save(folder.path() / "model");
  const auto loaded = DualEncoder::load(folder.path() / "model");
  const auto pixels = at::randn({2, 3, 16, 16});
  EXPECT_TRUE(loaded.encode_image(pixels).equal(model.encode_image(pixels)));
  EXPECT_EQ(loaded.tokenizer()->encode("a cup", 12), model.tokenizer()->encode("a cup", 12));
}

TEST(DualEncoder, NamesEveryTensorThatDoesNotFit) {
  const TempFolder folder;
  auto tensors = read_safetensors(fixture("vit") / "open_clip_model.safetensors").tensors;
  tensors.erase("ln_final.bias");
  tensors["visual.proj"] = at::zeros({3, 4});
  tensors["module.extra"] = at::zeros({1});
  write_safetensors(folder.path() / "open_clip_model.safetensors", tensors);
  fs::copy_file(fixture("vit") / "open_clip_config.json", folder.path() / "open_clip_config.json");
  auto model = peer_model("vit");
  const auto before = model.encode_text(at::ones({1, 4}, at::kLong));
  const auto message = message_of<Error>([&] { model.load_weights(folder.path()); });
  EXPECT_NE(message.find("3 tensor(s) don't fit"), std::string::npos) << message;
  EXPECT_NE(message.find("ln_final.bias is missing (expected [16])"), std::string::npos) << message;
  EXPECT_NE(message.find("visual.proj: expected [16, 12], got [3, 4]"), std::string::npos) << message;
  EXPECT_NE(message.find("module.extra [1] is not part of the model"), std::string::npos) << message;
  EXPECT_TRUE(model.encode_text(at::ones({1, 4}, at::kLong)).equal(before));
}

TEST(DualEncoder, PresetsHaveThePeersNumberOfParameters) {
  const auto counts = nlohmann::json::parse(read_file(fixture("parameter_counts.json")));
  for (const auto& [name, count] : counts.items()) {
    // The text tower of a model is as large as its vocabulary says; the peer's has CLIP's 49,408 entries.
    auto config = preset(name);
    const auto missing = (config.text.vocab_size - byte_tokenizer()->vocab_size()) * config.text.width;
    EXPECT_EQ(DualEncoder::create(config, byte_tokenizer()).parameter_count() + missing, count.get<std::int64_t>())
        << name;
  }
}

TEST(DualEncoder, SameSeedSameWeights) {
  const auto config = read_model_config(fixture("resnet") / "open_clip_config.json");
  const auto a = DualEncoder::create(config, byte_tokenizer(), 1), b = DualEncoder::create(config, byte_tokenizer(), 1);
  const auto c = DualEncoder::create(config, byte_tokenizer(), 2);
  const auto pa = a.module()->parameters(), pb = b.module()->parameters();
  for (std::size_t i = 0; i < pa.size(); ++i) EXPECT_TRUE(pa[i].equal(pb[i]));
  EXPECT_FALSE(a.module()->image_projection->weight.equal(c.module()->image_projection->weight));
}

TEST(DualEncoder, StartsAtTheLogitScaleOfThePaper) {
  const auto model = DualEncoder::create(read_model_config(fixture("vit") / "open_clip_config.json"), byte_tokenizer());
  EXPECT_NEAR(model.logit_scale().item<double>(), 1 / 0.07, 1e-4);
  at::NoGradGuard no_grad;
  model.module()->log_logit_scale.fill_(9.0);
  model.module()->clamp_logit_scale();
  EXPECT_NEAR(model.logit_scale().item<double>(), 100.0, 1e-3);
}

TEST(DualEncoder, RefusesArgumentsOfTheWrongShape) {
  const auto model = peer_model("vit");
  EXPECT_EQ(message_of<Error>([&] {
              model.encode_image(at::zeros({2, 1, 16, 16}));
            }),
            "[normalize_pixels] pixels: expected [B, 3, H, W], got [2, 1, 16, 16]");
  EXPECT_EQ(message_of<Error>([&] {
              model.encode_text(at::zeros({2, 4}));
            }),
            "[encode_text] tokens: expected int64 [B, L], got Float [2, 4]");
}

class MeanColour : public nn::Tower {
 public:
  at::Tensor forward(const at::Tensor& x, at::ScalarType) override { return x.mean({2, 3}); }
  std::int64_t width() const override { return 3; }
};

class BagOfTokens : public nn::Tower {
 public:
  at::Tensor forward(const at::Tensor& x, at::ScalarType) override { return x.to(at::kFloat).narrow(1, 0, 2); }
  std::int64_t width() const override { return 2; }
};

TEST(DualEncoder, TakesTowersOfOnesOwnAndReadsThemBack) {
  const TempFolder folder;
  const auto build = [](std::uint64_t seed) {
    nn::Initializer initializer(seed);
    ModelConfig config;
    config.name = "colours";
    config.embed_dim = 8;
    config.vision = OwnTowers{};
    return DualEncoder(
        std::make_shared<nn::DualEncoderImpl>(std::make_shared<MeanColour>(), std::make_shared<BagOfTokens>(), 8,
                                              nn::DualEncoderImpl::Options{}, initializer),
        config, byte_tokenizer());
  };
  const auto model = build(1);
  auto other = build(2);
  const auto pixels = at::randn({2, 3, 4, 4});
  EXPECT_EQ(model.encode_image(pixels).sizes(), (std::vector<std::int64_t>{2, 8}));
  EXPECT_FALSE(other.encode_image(pixels).equal(model.encode_image(pixels)));
  model.save(folder.path() / "model");
  other.load_weights(folder.path() / "model");
  EXPECT_TRUE(other.encode_image(pixels).equal(model.encode_image(pixels)));
  EXPECT_THROW(DualEncoder::load(folder.path() / "model"), Error);
}

}  // namespace
}  // namespace vlalign::dual_encoder_test
