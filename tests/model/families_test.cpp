// Every family against the peer that wrote it (tests/fixtures/make_families.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/positions.hpp"
#include "nn/grid_positions.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/peers/read_config.hpp"
#include "vlalign/nn/bert.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/resnet.hpp"
#include "vlalign/nn/text_transformer.hpp"
#include "vlalign/train/optimizer.hpp"

namespace vlalign::families_test {
namespace {

namespace fs = std::filesystem;
using test::byte_tokenizer;
using test::expected_of;
using test::largest_difference;
using test::message_of;
using test::model_fixture;
using test::peer_model;
using test::TempFolder;

constexpr double close = 1e-5;

class Family : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, Family,
                         testing::Values("vit", "resnet", "open_clip_average", "open_clip_normed_average",
                                         "open_clip_custom_text", "open_clip_coca_towers"));
INSTANTIATE_TEST_SUITE_P(HuggingFace, Family, testing::Values("hf_clip", "hf_clip_old", "hf_siglip", "hf_align"));

TEST_P(Family, GivesThePeersEmbeddingsAndLogits) {
  const at::NoGradGuard no_grad;
  const auto model = peer_model(GetParam());
  const auto expected = expected_of(GetParam());
  const auto image = model.encode_image(expected.at("pixels")), text = model.encode_text(expected.at("tokens"));
  EXPECT_LT(largest_difference(image, expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(text, expected.at("text_embedding")), close);
  if (!expected.contains("logits")) return;
  auto logits = model.logit_scale() * at::matmul(image, text.t());
  if (model.module()->logit_bias.defined()) logits = logits + model.module()->logit_bias;
  EXPECT_LT(largest_difference(logits, expected.at("logits")), 2e-4);  // up to 14 times the cosines
}

TEST_P(Family, GivesTheSameForTextsCutToTheirLongest) {
  const at::NoGradGuard no_grad;
  const auto model = peer_model(GetParam());
  const auto expected = expected_of(GetParam());
  for (std::int64_t row = 0; row < 4; ++row) {
    const auto tokens = expected.at("tokens").narrow(0, row, 1);
    const auto padding = tokens[0][-1].item<std::int64_t>();
    std::int64_t length = tokens.size(1);  // up to the end token, which may look like the padding
    while (length > 2 && tokens[0][length - 1].item<std::int64_t>() == padding &&
           tokens[0][length - 2].item<std::int64_t>() == padding)
      --length;
    EXPECT_LT(largest_difference(model.encode_text(tokens.narrow(1, 0, length)),
                                 expected.at("text_embedding").narrow(0, row, 1)),
              close)
        << "text " << row << " of " << length;
  }
}

TEST_P(Family, GivesThePeersHiddenStatesAndTokens) {
  const at::NoGradGuard no_grad;
  const auto model = peer_model(GetParam());
  const auto expected = expected_of(GetParam());
  const std::vector<std::int64_t> layers{-1, 0};
  const auto image = model.image_features(expected.at("pixels"), layers);
  const auto text = model.text_features(expected.at("tokens"), layers);
  EXPECT_LT(largest_difference(image.embedding, expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(text.embedding, expected.at("text_embedding")), close);
  const auto compare = [&](const char* name, const at::Tensor& ours) {
    if (!expected.contains(name)) return;
    EXPECT_LT(largest_difference(ours, expected.at(name)), 5e-5) << name;
  };
  compare("image_hidden.0", image.hidden[1]);
  compare("image_hidden.1", image.hidden[0]);
  compare("image_tokens", image.tokens);
  compare("image_map", image.map);
  compare("text_hidden.0", text.hidden[1]);
  compare("text_hidden.1", text.hidden[0]);
  if (!expected.contains("text_tokens")) return;
  // Where the mask is false no two peers agree on what stands there.
  const auto seen = text.mask.unsqueeze(-1).to(at::kFloat);
  compare("text_tokens", text.tokens * seen + expected.at("text_tokens") * (1 - seen));
}

TEST_P(Family, ComesBackBitForBit) {
  const TempFolder folder;
  peer_model(GetParam()).save(folder.path() / "model");
  const auto before = read_folder_tensors(model_fixture(GetParam())).tensors;
  const auto after = read_folder_tensors(folder.path() / "model").tensors;
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    EXPECT_TRUE(tensor.equal(after.at(name))) << name;
  }
  EXPECT_EQ(test::config_of_fixture(GetParam()).filename(), config_file_of(folder.path() / "model").filename());
}

TEST_P(Family, WritesAConfigThatBuildsTheSameModel) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  const auto model = peer_model(GetParam());
  model.save(folder.path() / "model");
  const auto again = peer_model(folder.path() / "model", config_file_of(folder.path() / "model"));
  const auto expected = expected_of(GetParam());
  EXPECT_TRUE(again.encode_image(expected.at("pixels")).equal(model.encode_image(expected.at("pixels"))));
  EXPECT_TRUE(again.encode_text(expected.at("tokens")).equal(model.encode_text(expected.at("tokens"))));
  EXPECT_EQ(again.config().preprocess.mean, model.config().preprocess.mean);
  EXPECT_EQ(again.config().preprocess.resize_size, model.config().preprocess.resize_size);
}

class Training : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, Training, testing::Values("vit", "resnet"));

TEST_P(Training, FiftyStepsOfAdamWGiveThePeersLosses) {
  auto model = peer_model(GetParam());
  const auto expected = read_safetensors(model_fixture(GetParam()) / "training.safetensors").tensors;
  Optimizer::NamedParameters parameters;
  for (const auto& item : model.module()->named_parameters()) parameters.emplace_back(item.key(), item.value());
  Optimizer optimizer(parameters, {});
  model.train();
  double first = 0, last = 0;
  for (std::int64_t step = 0; step < 50; ++step) {
    const auto image = model.encode_image(expected.at("pixels")[step % 3]);
    const auto loss =
        InfoNCE().forward({image, model.encode_text(expected.at("tokens")[step % 3]), model.logit_scale()});
    loss.backward();
    optimizer.step(1e-5);
    optimizer.zero_grad();
    model.module()->clamp_logit_scale();
    last = loss.item<double>();
    if (step == 0) first = last;
    ASSERT_NEAR(last, expected.at("losses")[step].item<double>(), 1e-4) << "step " << step;
  }
  EXPECT_GT(std::abs(first - last), 1e-3);  // it learnt something
}

TEST(Convert, ClipGoesToTransformersAndBack) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  auto model = peer_model("vit");
  model.set_layout(Layout::hugging_face);
  model.save(folder.path() / "hf");
  auto there = DualEncoder::load(folder.path() / "hf");
  const auto expected = expected_of("vit");
  EXPECT_LT(largest_difference(there.encode_image(expected.at("pixels")), expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(there.encode_text(expected.at("tokens")), expected.at("text_embedding")), close);
  there.set_layout(Layout::open_clip);
  there.save(folder.path() / "back");
  const auto before = read_folder_tensors(model_fixture("vit")).tensors;
  const auto after = read_folder_tensors(folder.path() / "back").tensors;
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(tensor.equal(after.at(name))) << name;
}

TEST(Convert, RefusesWhatThePeerDoesNotBuild) {
  const auto message_to = [](const char* name, Layout layout) {
    auto model = peer_model(name);
    return message_of<Error>([&] { model.set_layout(layout); });
  };
  EXPECT_NE(message_to("open_clip_average", Layout::hugging_face).find("transformers has no such image tower"),
            std::string::npos);
  EXPECT_NE(message_to("resnet", Layout::hugging_face).find("transformers has no such image tower"), std::string::npos);
  EXPECT_NE(message_to("hf_align", Layout::open_clip).find("open_clip has no EfficientNet"), std::string::npos);
  EXPECT_NE(message_to("hf_siglip", Layout::open_clip).find("timm has no tower of these sizes"), std::string::npos);
}

/// transformers' text tower in a model of ours.
DualEncoder with_text_tower(const std::string& fixture, const TextConfig& text) {
  ModelConfig config;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.preprocess.image_size = 16;
  config.text = text;
  auto model = DualEncoder::create(config, byte_tokenizer());
  model.load_text_tower(model_fixture(fixture));
  model.train(false);
  return model;
}

TEST(TextTower, BertGivesThePeersClsAndMean) {
  const at::NoGradGuard no_grad;
  auto text = read_text_config(model_fixture("hf_bert"));
  const auto expected = expected_of("hf_bert");
  const std::vector<std::int64_t> layers{0, 1};
  for (const auto pool : {TextConfig::Pool::first, TextConfig::Pool::mean}) {
    text.pool = pool;
    const auto model = with_text_tower("hf_bert", text);
    const auto features = model.text_features(expected.at("tokens"), layers);
    const auto* name = pool == TextConfig::Pool::first ? "pooled.first" : "pooled.mean";
    EXPECT_LT(largest_difference(features.pooled, expected.at(name)), close);
    EXPECT_LT(largest_difference(model.module()->text->forward(expected.at("tokens"), at::kFloat), expected.at(name)),
              close);
    EXPECT_LT(largest_difference(features.hidden[0], expected.at("text_hidden.0")), close);
    EXPECT_LT(largest_difference(features.tokens, expected.at("text_tokens")), close);
    EXPECT_TRUE(features.mask.equal(expected.at("tokens") != 0));
  }
}

TEST(TextTower, Gpt2GivesThePeersStateAtTheEndToken) {
  const at::NoGradGuard no_grad;
  const auto model = with_text_tower("hf_gpt2", read_text_config(model_fixture("hf_gpt2")));
  const auto expected = expected_of("hf_gpt2");
  const std::vector<std::int64_t> layers{0};
  const auto features = model.text_features(expected.at("tokens"), layers);
  EXPECT_LT(largest_difference(features.pooled, expected.at("pooled.end")), close);
  EXPECT_LT(largest_difference(features.hidden[0], expected.at("text_hidden.0")), close);
  EXPECT_LT(largest_difference(features.tokens, expected.at("text_tokens")), close);
}

TEST(TextTower, AModelWithOneComesBackFromItsFolder) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  const auto tokens = expected_of("hf_bert").at("tokens");
  for (const auto* name : {"hf_bert", "hf_gpt2"}) {
    const auto model = with_text_tower(name, read_text_config(model_fixture(name)));
    model.save(folder.path() / name);
    EXPECT_TRUE(DualEncoder::load(folder.path() / name).encode_text(tokens).equal(model.encode_text(tokens))) << name;
  }
}

TEST(TextTower, AWholeModelLendsItsOwn) {
  const at::NoGradGuard no_grad;
  auto model = DualEncoder::create(read_model_config(test::config_of_fixture("vit")), byte_tokenizer(), 5);
  model.train(false);
  const auto image_before = model.encode_image(expected_of("vit").at("pixels"));
  model.load_text_tower(model_fixture("vit"));
  EXPECT_TRUE(model.encode_image(expected_of("vit").at("pixels")).equal(image_before));
  const auto tokens = expected_of("vit").at("tokens");
  EXPECT_TRUE(model.text_features(tokens).pooled.equal(peer_model("vit").text_features(tokens).pooled));
}

class TorchvisionResNet : public testing::TestWithParam<std::tuple<const char*, ResNetConfig>> {};
INSTANTIATE_TEST_SUITE_P(
    Blocks, TorchvisionResNet,
    testing::Values(
        std::tuple("torchvision_basic", ResNetConfig{.layers = {2, 1, 2, 1}, .bottleneck = false, .width = 4}),
        std::tuple("torchvision_bottleneck", ResNetConfig{.layers = {1, 2, 1, 1}, .bottleneck = true, .width = 4})));

TEST_P(TorchvisionResNet, GivesThePeersFeatures) {
  const at::NoGradGuard no_grad;
  const auto& [name, resnet] = GetParam();
  ModelConfig config;
  config.vision = resnet;
  config.preprocess.image_size = 64;
  config.text = {.context_length = 8, .width = 16, .heads = 2, .layers = 1};
  auto model = DualEncoder::create(config, byte_tokenizer());
  model.load_image_tower(model_fixture(name) / "model.safetensors");
  model.train(false);
  const auto expected = expected_of(name);
  const std::vector<std::int64_t> layers{0, 2};
  const auto features = model.image_features(expected.at("pixels"), layers);
  EXPECT_LT(largest_difference(features.pooled, expected.at("pooled")), close);
  EXPECT_LT(largest_difference(features.map, expected.at("image_map")), close);
  EXPECT_LT(largest_difference(features.hidden[0], expected.at("image_hidden.0")), close);
  EXPECT_LT(largest_difference(features.hidden[1], expected.at("image_hidden.2")), close);
}

TEST(Features, RefuseALayerThatIsNotThere) {
  const auto model = peer_model("vit");
  const std::vector<std::int64_t> layers{2};
  EXPECT_EQ(message_of<Error>([&] { model.image_features(expected_of("vit").at("pixels"), layers); }),
            "[Tower] layer 2: the tower has 2, counted from 0 or, negative, from the end");
}

TEST(Positions, AGridKeepsItsExtraRowsAndWhatIsLinear) {
  // On a plane that rises evenly along both axes a resize gives the plane at the new places, away from the border.
  const std::int64_t side = 16, larger = 32;
  const auto line = at::arange(side, at::kFloat);
  const auto plane = (line.view({side, 1}) + 2 * line.view({1, side})).reshape({side * side, 1});
  const auto positions = at::cat({at::zeros({1, 1}) - 7, plane});
  const auto resized = nn::resize_grid(positions, larger, 1);
  ASSERT_EQ(resized.size(0), 1 + larger * larger);
  EXPECT_EQ(resized[0][0].item<float>(), -7.0F);
  for (std::int64_t y = 8; y < 24; ++y) {
    for (std::int64_t x = 8; x < 24; ++x) {
      const auto place = [](std::int64_t i) { return (static_cast<double>(i) + 0.5) / 2 - 0.5; };
      const double expected = place(y) + 2 * place(x);
      EXPECT_NEAR(resized[1 + y * larger + x][0].item<double>(), expected, 1e-4);
    }
  }
}

TEST(Positions, ALineIsReadBetweenItsPoints) {
  const auto positions = at::arange(8, at::kFloat).view({8, 1});
  const auto resized = resize_line(positions, 16);
  for (std::int64_t i = 1; i < 15; ++i)
    EXPECT_NEAR(resized[i][0].item<double>(), (static_cast<double>(i) + 0.5) / 2 - 0.5, 1e-6);
}

TEST(DualEncoder, LoadsAtAnotherImageSizeAndContextLength) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  for (const auto* name : {"vit", "resnet", "hf_clip", "hf_siglip"}) {
    auto model = peer_model(name);
    model.save(folder.path() / name);
    const auto side = model.config().preprocess.image_size;
    const auto larger = DualEncoder::load(folder.path() / name, {.image_size = 2 * side, .context_length = 20});
    const auto pixels = at::randn({2, 3, 2 * side, 2 * side});
    EXPECT_EQ(larger.encode_image(pixels).size(1), model.config().embed_dim) << name;
    EXPECT_EQ(larger.encode_text(at::zeros({2, 20}, at::kLong)).size(1), model.config().embed_dim) << name;
    const auto same = DualEncoder::load(folder.path() / name, {.image_size = side, .context_length = 12});
    EXPECT_TRUE(
        same.encode_image(expected_of(name).at("pixels")).equal(model.encode_image(expected_of(name).at("pixels"))));
  }
}

TEST(DualEncoder, KeepsWhosePixelsItSees) {
  const TempFolder folder;
  for (const auto* name : {"vit", "hf_clip", "hf_siglip"}) {
    EXPECT_EQ(peer_model(name).config().preprocess.pixels_as, PixelsAs::vlalign) << name;
    const auto plain = folder.path() / "plain" / name, place = folder.path() / "peer" / name;
    fs::create_directories(plain.parent_path()), fs::create_directories(place.parent_path());
    peer_model(name).save(plain);
    DualEncoder::load(plain, {.pixels_as = PixelsAs::peer}).save(place);
    EXPECT_EQ(DualEncoder::load(place).config().preprocess.pixels_as, PixelsAs::peer) << name;
    EXPECT_EQ(DualEncoder::load(place, {.pixels_as = PixelsAs::vlalign}).config().preprocess.pixels_as,
              PixelsAs::vlalign)
        << name;
  }
}

TEST(ModelFolder, ReadsShardsThatAnIndexNames) {
  const auto tensors = read_folder_tensors(model_fixture("hf_clip_old")).tensors;
  EXPECT_EQ(tensors.size(), read_folder_tensors(model_fixture("hf_clip")).tensors.size());
}

TEST(ModelFolder, RefusesAnIndexThatItsShardsContradict) {
  const TempFolder folder;
  write_safetensors(folder.path() / "a.safetensors", {{"x", at::zeros({2})}});
  const auto message_with = [&](const char* index) {
    write_file_atomically(folder.path() / "model.safetensors.index.json", index);
    return message_of<Error>([&] { read_folder_tensors(folder.path()); });
  };
  EXPECT_NE(message_with(R"({"weight_map": {"x": "a.safetensors", "y": "a.safetensors"}})").find("lacks y"),
            std::string::npos);
  EXPECT_NE(message_with(R"({"weight_map": {}})").find("names no tensor"), std::string::npos);
  EXPECT_NE(message_with(R"({"weight_map": {"x": "../a.safetensors"}})").find("not the name of a file beside it"),
            std::string::npos);
  EXPECT_NE(message_with(R"({"weight_map": {"x": "b.safetensors"}})").find("b.safetensors"), std::string::npos);
}

TEST(ModelFolder, ReadsNoPickle) {
  const TempFolder folder;
  write_file_atomically(folder.path() / "pytorch_model.bin", "\x80\x02");
  const auto message = message_of<Error>([&] { read_folder_tensors(folder.path()); });
  EXPECT_NE(message.find("pickles are not read"), std::string::npos) << message;
}

TEST(ModelFolder, TakesAWrappersPrefixOffAndLeavesCountsOut) {
  const TempFolder folder;
  NamedTensors wrapped;
  for (const auto& [name, tensor] : read_folder_tensors(model_fixture("vit")).tensors)
    wrapped["module." + name] = tensor;
  wrapped["module.input_resolution"] = at::zeros({}, at::kLong);
  write_safetensors(folder.path() / "open_clip_model.safetensors", wrapped);
  fs::copy_file(test::config_of_fixture("vit"), folder.path() / "open_clip_config.json");
  auto model = DualEncoder::create(read_model_config(test::config_of_fixture("vit")), byte_tokenizer());
  model.load_weights(folder.path());
  model.train(false);
  const auto pixels = expected_of("vit").at("pixels");
  EXPECT_TRUE(model.encode_image(pixels).equal(peer_model("vit").encode_image(pixels)));
}

}  // namespace
}  // namespace vlalign::families_test
