// Configs that no model can be made of.
#include "config/validate.hpp"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "config/weight_estimate.hpp"
#include "core/io/files.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/model/presets.hpp"

namespace vlalign::validate_test {
namespace {

using test::message_of;

constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();

ModelConfig small() {
  ModelConfig config;
  config.name = "small";
  config.embed_dim = 16;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.text = {.context_length = 8, .vocab_size = 514, .width = 16, .heads = 2, .layers = 1};
  config.preprocess.image_size = 32;
  return config;
}

VitConfig& vit(ModelConfig& config) { return std::get<VitConfig>(config.vision); }

/// A change that is refused, and the words the Error begins with, behind "model small: ".
struct Fault {
  void (*set)(ModelConfig&);
  const char* message;
};

const std::vector<Fault> faults{
    {[](ModelConfig& c) { c.embed_dim = 0; }, "embed_dim: expected 1 to 16777216, got 0"},
    {[](ModelConfig& c) { c.embed_dim = std::int64_t{1} << 40; },
     "embed_dim: expected 1 to 16777216, got 1099511627776"},
    {[](ModelConfig& c) { c.layout = static_cast<Layout>(7); }, "layout: 7 is none"},
    {[](ModelConfig& c) { vit(c).width = std::int64_t{1} << 40; }, "vision: width: expected 1 to"},
    {[](ModelConfig& c) { vit(c).width = -16; }, "vision: width: expected 1 to"},
    {[](ModelConfig& c) { vit(c).head_width = 0; }, "vision: width 16 is not a multiple of head_width 0"},
    {[](ModelConfig& c) { vit(c).head_width = 5; }, "vision: width 16 is not a multiple of head_width 5"},
    {[](ModelConfig& c) { vit(c).layers = -1; }, "vision: layers: expected 0 to"},
    {[](ModelConfig& c) { vit(c).layers = 1 << 24; }, "vision: layers: expected 0 to"},
    {[](ModelConfig& c) { vit(c).patch_size = 0; }, "vision: patch_size: expected 1 to"},
    {[](ModelConfig& c) { vit(c).patch_size = 33; }, "vision: image_size: expected patch_size, 33, to"},
    {[](ModelConfig& c) { vit(c).mlp_ratio = nan; }, "vision: mlp_ratio: expected above 0"},
    {[](ModelConfig& c) { vit(c).mlp_ratio = 0.01; }, "vision: mlp_ratio: expected above 0"},
    {[](ModelConfig& c) { vit(c).norm_eps = 0; }, "vision: norm_eps: expected above 0"},
    {[](ModelConfig& c) { vit(c).norm_eps = nan; }, "vision: norm_eps: expected above 0"},
    {[](ModelConfig& c) { vit(c).patch_dropout = 1; }, "vision: patch_dropout: expected 0 to below 1, got 1"},
    {[](ModelConfig& c) { vit(c).patch_dropout = nan; }, "vision: patch_dropout: expected 0 to below 1"},
    {[](ModelConfig& c) { vit(c).layer_scale = infinity; }, "vision: layer_scale: expected a finite number"},
    {[](ModelConfig& c) { vit(c).stem = {0}; }, "vision: stem: expected 1 to"},
    {[](ModelConfig& c) { vit(c).pool = static_cast<VitConfig::Pool>(9); }, "vision: pool: 9 is none"},
    {[](ModelConfig& c) { vit(c).pool = VitConfig::Pool::query, vit(c).pool_heads = 3; },
     "vision: pool_heads: expected a divisor of the embedding dimension 16, got 3"},
    {[](ModelConfig& c) { vit(c).positions = VitConfig::Positions::sines, vit(c).width = 18, vit(c).head_width = 9; },
     "vision: width 18: positions of sines need a multiple of 4"},
    {[](ModelConfig& c) { c.text.heads = 3; }, "text: width 16 is not a multiple of heads 3"},
    {[](ModelConfig& c) { c.text.context_length = 0; }, "text: context_length: expected 1 to"},
    {[](ModelConfig& c) { c.text.norm_eps = -1e-5; }, "text: norm_eps: expected above 0"},
    {[](ModelConfig& c) { c.text.token_std = nan; }, "text: token_std: expected 0 to 100"},
    {[](ModelConfig& c) { c.text.token_types = 3; }, "text: token_types and pooler are BERT's"},
    {[](ModelConfig& c) { c.text.cleaning = "scrub"; }, "text: cleaning: expected whitespace, lower or canonicalize"},
    {[](ModelConfig& c) { c.text.architecture = TextConfig::Architecture::bert; }, "text: pool: expected first"},
    {[](ModelConfig& c) { c.scale.initial = 0; }, "scale: initial: expected exp(-50)"},
    {[](ModelConfig& c) { c.scale.initial = nan; }, "scale: initial: expected exp(-50)"},
    {[](ModelConfig& c) { c.scale.initial = infinity; }, "scale: initial: expected exp(-50)"},
    {[](ModelConfig& c) { c.scale.bias = nan; }, "scale: bias: expected a finite number"},
    {[](ModelConfig& c) { c.preprocess.std[1] = 0; }, "preprocess: std: expected positive numbers, got 0"},
    {[](ModelConfig& c) { c.preprocess.std[2] = nan; }, "preprocess: std: expected positive numbers"},
    {[](ModelConfig& c) { c.preprocess.mean[0] = nan; }, "preprocess: mean: expected a finite number"},
    {[](ModelConfig& c) { c.preprocess.image_size = -32; }, "preprocess: image_size: expected 1 to 8192, got -32"},
    {[](ModelConfig& c) { c.preprocess.resize_size = 16; }, "preprocess: resize_size: expected 32 to 8192, got 16"},
    {[](ModelConfig& c) { c.vision = ModifiedResNetConfig{}, c.preprocess.image_size = 48; },
     "vision: image_size 48 is not a multiple of 32"},
    {[](ModelConfig& c) {
       c.vision = ModifiedResNetConfig{.layers = {1, 1}};
     },
     "vision: layers: expected 4 stages, got 2"},
    {[](ModelConfig& c) { c.vision = ModifiedResNetConfig{.width = 1, .head_width = 32}; },
     "vision: width: expected 2"},
    {[](ModelConfig& c) {
       c.vision = ResNetConfig{.layers = {2, 2, 0, 2}};
     },
     "vision: layers: expected 1 to"},
    {[](ModelConfig& c) {
       c.vision = EfficientNetConfig{.strides = {1, 2}};
     },
     "vision: strides: expected a number for each of 7 stages, got 2"},
    {[](ModelConfig& c) {
       c.vision = EfficientNetConfig{.kernel_sizes = {3, 3, 4, 3, 5, 5, 3}};
     },
     "vision: kernel_sizes: expected odd numbers"},
    {[](ModelConfig& c) {
       c.vision = EfficientNetConfig{.strides = {1, 2, 3, 2, 1, 2, 1}};
     },
     "vision: strides: expected 1"},
    {[](ModelConfig& c) {
       c.vision = EfficientNetConfig{.in_channels = {32, 16, 64, 40, 80, 112, 192}};
     },
     "vision: in_channels: stage 2 takes 64 channels, scaled 64, where 24 come"},
    {[](ModelConfig& c) { c.vision = EfficientNetConfig{}, c.preprocess.image_size = 31; },
     "vision: image_size: expected 32 or more for so many strides, got 31"},
    {[](ModelConfig& c) { c.vision = EfficientNetConfig{.depth_coefficient = nan}; },
     "vision: depth_coefficient: expected"},
    {[](ModelConfig& c) { vit(c).width = vit(c).head_width = 1 << 22; }, "the weights alone would take about"},
};

TEST(Create, RefusesWhatNoModelCanBeMadeOfNamingTheField) {
  EXPECT_NO_THROW(DualEncoder::create(small(), test::byte_tokenizer()));
  for (const auto& fault : faults) {
    auto config = small();
    fault.set(config);
    const auto message = message_of<Error>([&] { DualEncoder::create(config, test::byte_tokenizer()); });
    EXPECT_EQ(message.substr(0, std::string("model small: ").size() + std::string(fault.message).size()),
              std::string("model small: ") + fault.message)
        << message;
  }
}

TEST(ConfigFile, RefusesTheSameNamingTheFile) {
  const test::TempFolder folder;
  const auto error = [&](const std::string& vision, const std::string& text = "{}") {
    const auto file = folder.path() / "x.json";
    write_file_atomically(file, R"({"embed_dim": 16, "vision_cfg": )" + vision + R"(, "text_cfg": )" + text + "}");
    return message_of<Error>([&] { read_model_config(file); }).substr(file.string().size());
  };
  EXPECT_EQ(error(R"({"image_size": 8, "patch_size": 16})"),
            ": vision: image_size: expected patch_size, 16, to 8192, got 8");
  EXPECT_EQ(error("{}", R"({"heads": 7})"), ": text: width 512 is not a multiple of heads 7");
  EXPECT_EQ(error("{}", R"({"norm_kwargs": {"eps": 0}})"), ": text: norm_eps: expected above 0 and up to 1, got 0");
  EXPECT_EQ(error("{}", R"({"pool_type": "eos", "eos_id": -4})"), ": text: end_id: expected 0 to 49407, got -4");
  EXPECT_NE(error(R"({"width": 4194304})").find("the weights alone would take about"), std::string::npos);
}

/// 378 pixels of 14 leave 27 patches and no rest, 384 leave 27 and six pixels: SigLIP is published in both sizes.
TEST(Create, TakesAPictureThatIsNoMultipleOfItsPatches) {
  auto config = small();
  config.preprocess.image_size = 38;
  EXPECT_EQ(
      DualEncoder::create(config, test::byte_tokenizer()).image_features(at::zeros({1, 3, 38, 38})).tokens.size(1), 16);
}

TEST(WeightEstimate, IsNearThePeersNumberOfParameters) {
  const auto counts = nlohmann::json::parse(read_file(test::model_fixture("parameter_counts.json")));
  for (const auto& [name, count] : counts.items())
    EXPECT_NEAR(estimated_parameters(preset(name)) / count.get<double>(), 1, 0.03) << name;
  EXPECT_NEAR(estimated_parameters(preset("align-base")) / 172.1e6, 1, 0.03);  // transformers' count
  EXPECT_EQ(estimated_parameters({.vision = OwnTowers{}}), 0);
}

TEST(Load, RefusesSizesThatCantBe) {
  const test::TempFolder folder;
  DualEncoder::create(small(), test::byte_tokenizer()).save(folder.path() / "model");
  const auto error = [&](const LoadOptions& options) {
    return message_of<Error>([&] { DualEncoder::load(folder.path() / "model", options); });
  };
  EXPECT_EQ(error({.image_size = -32}), "[load] image_size: expected 1 to 8192, got -32");
  EXPECT_EQ(error({.image_size = 7}), "model small: vision: image_size: expected patch_size, 8, to 8192, got 7");
  EXPECT_EQ(error({.context_length = 0}), "model small: text: context_length: expected 1 to 16777216, got 0");
}

}  // namespace
}  // namespace vlalign::validate_test
