// transformers' text towers, alone and inside whole models, against the peers (tests/fixtures/make_text_towers.py).
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/model_folder.hpp"
#include "model/peers/peer_names.hpp"
#include "model/peers/tower_source.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/nn/t5.hpp"
#include "vlalign/train/optimizer.hpp"

namespace vlalign::text_towers_test {
namespace {

namespace fs = std::filesystem;
using test::byte_tokenizer;
using test::largest_difference;
using test::message_of;
using test::TempFolder;

constexpr double close = 1e-5;

fs::path tower_fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / name; }

NamedTensors expected_of(const std::string& name) {
  return read_safetensors(tower_fixture(name) / "expected.safetensors").tensors;
}

DualEncoder peer_model(const fs::path& folder) { return test::peer_model(folder, config_file_of(folder)); }

/// The tower in a model of ours.
DualEncoder with_text_tower(const fs::path& folder, const TextConfig& text) {
  ModelConfig config;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.preprocess.image_size = 16;
  config.text = text;
  auto model = DualEncoder::create(config, byte_tokenizer(text.pad_id));
  model.load_text_tower(folder);
  model.train(false);
  return model;
}

TextConfig pooled_by(const std::string& name, TextConfig::Pool pool) {
  auto text = read_text_config(tower_fixture(name));
  text.pool = pool;
  text.pooler = pool == TextConfig::Pool::pooler;
  return text;
}

class Alone : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Towers, Alone, testing::Values("roberta", "xlm_roberta", "t5", "mt5", "m2m_100"));

TEST_P(Alone, GivesThePeersTokensAndEveryPooling) {
  const at::NoGradGuard no_grad;
  const auto expected = expected_of(GetParam());
  using Pool = TextConfig::Pool;
  const std::pair<const char*, Pool> pools[] = {{"pooled.first", Pool::first},
                                                {"pooled.mean", Pool::mean},
                                                {"pooled.max", Pool::max},
                                                {"pooled.pooler", Pool::pooler}};
  const std::vector<std::int64_t> layers{0, -1};
  for (const auto& [key, pool] : pools) {
    if (!expected.contains(key)) continue;
    const auto model = with_text_tower(tower_fixture(GetParam()), pooled_by(GetParam(), pool));
    const auto& tokens = expected.at("tokens");
    const auto features = model.text_features(tokens, layers);
    EXPECT_LT(largest_difference(features.pooled, expected.at(key)), close) << key;
    EXPECT_LT(largest_difference(model.module()->text->forward(tokens, at::kFloat), expected.at(key)), close) << key;
    EXPECT_TRUE(features.mask.equal(tokens != model.config().text.pad_id));
    const auto seen = features.mask.unsqueeze(-1);
    EXPECT_LT(largest_difference(features.tokens * seen, expected.at("text_tokens") * seen), close);
    EXPECT_LT(largest_difference(features.hidden[0] * seen, expected.at("text_hidden.0") * seen), close);
  }
}

/// Of the sum of the mean's sines, under the peer's names.
NamedTensors gradients_of(const DualEncoder& model, const at::Tensor& tokens, const TowerSource& source) {
  model.module()->zero_grad();
  model.module()->text->forward(tokens, at::kFloat).sin().sum().backward();
  NamedTensors instead;
  for (const auto& item : model.module()->text->named_parameters())
    if (item.value().grad().defined()) instead.emplace(item.key(), item.value().grad().to_dense());
  return peer_tensors(*model.module()->text, source.schemes, instead);
}

TEST_P(Alone, GivesThePeersGradientsWithAndWithoutCheckpoints) {
  const auto expected = expected_of(GetParam());
  auto model = with_text_tower(tower_fixture(GetParam()), pooled_by(GetParam(), TextConfig::Pool::mean));
  const auto source = text_tower_source(tower_fixture(GetParam()), model.config());
  const auto gradients = gradients_of(model, expected.at("tokens"), source);
  model.checkpoint_activations(true);
  const auto again = gradients_of(model, expected.at("tokens"), source);
  constexpr std::string_view prefix = "gradient.";
  for (const auto& [name, theirs] : expected) {
    if (!name.starts_with(prefix)) continue;
    const auto key = name.substr(prefix.size());
    const auto scale = theirs.abs().max().item<double>() + 1e-3;
    EXPECT_LT(largest_difference(gradients.at(key), theirs) / scale, 1e-4) << key;
    EXPECT_LT(largest_difference(again.at(key), gradients.at(key)) / scale, 1e-5) << key;
  }
}

TEST_P(Alone, RunsInBfloat16) {
  const at::NoGradGuard no_grad;
  const auto expected = expected_of(GetParam());
  const auto model = with_text_tower(tower_fixture(GetParam()), pooled_by(GetParam(), TextConfig::Pool::mean));
  const auto pooled = model.module()->text->forward(expected.at("tokens"), at::kBFloat16).to(at::kFloat);
  EXPECT_LT(largest_difference(pooled, expected.at("pooled.mean")), 0.05);
}

TEST_P(Alone, AModelWithOneComesBackFromItsFolder) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  const auto model = with_text_tower(tower_fixture(GetParam()), read_text_config(tower_fixture(GetParam())));
  model.save(folder.path() / "model");
  const auto tokens = expected_of(GetParam()).at("tokens");
  EXPECT_TRUE(DualEncoder::load(folder.path() / "model").encode_text(tokens).equal(model.encode_text(tokens)));
}

class Whole : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(OpenClip, Whole,
                         testing::Values("open_clip_roberta", "open_clip_bert", "open_clip_nllb", "open_clip_mt5"));
INSTANTIATE_TEST_SUITE_P(HuggingFace, Whole, testing::Values("chinese_clip", "metaclip_2"));

TEST_P(Whole, GivesThePeersEmbeddingsAndTokens) {
  const at::NoGradGuard no_grad;
  const auto model = peer_model(tower_fixture(GetParam()));
  const auto expected = expected_of(GetParam());
  EXPECT_LT(largest_difference(model.encode_image(expected.at("pixels")), expected.at("image_embedding")), close);
  EXPECT_LT(largest_difference(model.encode_text(expected.at("tokens")), expected.at("text_embedding")), close);
  const auto text = model.text_features(expected.at("tokens"));
  const auto seen = text.mask.unsqueeze(-1);
  EXPECT_LT(largest_difference(text.embedding, expected.at("text_embedding")), close);
  EXPECT_LT(largest_difference(text.tokens * seen, expected.at("text_tokens") * seen), close);
}

TEST_P(Whole, HoldsThePeersTensorsUnderItsNames) {
  const auto model = peer_model(tower_fixture(GetParam()));
  const auto before = read_folder_tensors(tower_fixture(GetParam())).tensors;
  const auto after = peer_tensors(*model.module(), naming_schemes(model.config(), model.config().layout));
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    ASSERT_TRUE(after.contains(name)) << name;
    EXPECT_TRUE(tensor.equal(after.at(name))) << name;
  }
}

TEST_P(Whole, IsWrittenUnderThePeersType) {
  const auto config = peer_model(tower_fixture(GetParam())).config();
  check_comes_back(config);
  const auto there = nlohmann::json::parse(read_file(config_file_of(tower_fixture(GetParam()))));
  const auto back = nlohmann::json::parse(config_files(config).front().text);
  EXPECT_EQ(back.value("model_type", ""), there.value("model_type", ""));
  const nlohmann::json::json_pointer name("/model_cfg/text_cfg/hf_model_name");
  EXPECT_EQ(back.value(name, ""), there.value(name, ""));
}

class Saved : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, Saved,
                         testing::Values("open_clip_roberta", "open_clip_bert", "open_clip_nllb", "open_clip_mt5",
                                         "chinese_clip"));

TEST_P(Saved, GivesTheSameEmbeddingsWithoutThePeersConfigBeside) {
  const at::NoGradGuard no_grad;
  const TempFolder folder;
  const auto model = peer_model(tower_fixture(GetParam()));
  model.save(folder.path() / "model");
  const auto tokens = expected_of(GetParam()).at("tokens");
  EXPECT_TRUE(DualEncoder::load(folder.path() / "model").encode_text(tokens).equal(model.encode_text(tokens)));
}

TEST(MetaClip2, IsClipWhereNoOtherEndTokenIsNeeded) {
  auto config = peer_model(tower_fixture("metaclip_2")).config();
  config.text.end_id = 513;
  EXPECT_EQ(nlohmann::json::parse(config_files(config).front().text)["model_type"], "clip");
}

TEST(OpenClipT5, FiftyStepsOfAdamWGiveThePeersLosses) {
  auto model = peer_model(tower_fixture("open_clip_mt5"));
  const auto expected = read_safetensors(tower_fixture("open_clip_mt5") / "training.safetensors").tensors;
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
    optimizer.step(1e-3);
    optimizer.zero_grad();
    model.module()->clamp_logit_scale();
    last = loss.item<double>();
    if (step == 0) first = last;
    ASSERT_NEAR(last, expected.at("losses")[step].item<double>(), 1e-4) << "step " << step;
  }
  EXPECT_GT(first - last, 0.1);  // it learnt something
}

TEST(OpenClipPresets, HoldTheTextTowersOfTransformers) {
  struct Case {
    const char *name, *peer;
    TextConfig::Architecture architecture;
    std::int64_t width, layers, vocab_size, position_rows;
  };
  using enum TextConfig::Architecture;
  const Case cases[] = {{"roberta-ViT-B-32", "roberta-base", bert, 768, 12, 50265, 514},
                        {"xlm-roberta-base-ViT-B-32", "xlm-roberta-base", bert, 768, 12, 250002, 514},
                        {"xlm-roberta-large-ViT-H-14", "xlm-roberta-large", bert, 1024, 24, 250002, 514},
                        {"mt5-base-ViT-B-32", "google/mt5-base", t5, 768, 12, 250112, 0},
                        {"mt5-xl-ViT-H-14", "google/mt5-xl", t5, 2048, 24, 250112, 0},
                        {"nllb-clip-base", "facebook/nllb-200-distilled-600M", nllb, 1024, 12, 256206, 0},
                        {"nllb-clip-base-siglip", "facebook/nllb-200-distilled-600M", nllb, 1024, 12, 256206, 0},
                        {"nllb-clip-large", "facebook/nllb-200-distilled-1.3B", nllb, 1024, 24, 256206, 0}};
  for (const auto& each : cases) {
    const auto text = preset(each.name).text;
    EXPECT_EQ(text.peer_name, each.peer) << each.name;
    EXPECT_EQ(text.architecture, each.architecture) << each.name;
    EXPECT_EQ(text.width, each.width) << each.name;
    EXPECT_EQ(text.layers, each.layers) << each.name;
    EXPECT_EQ(text.vocab_size, each.vocab_size) << each.name;
    EXPECT_EQ(text.position_rows, each.position_rows) << each.name;
    EXPECT_EQ(text.context_length, 77) << each.name;
  }
}

TEST(OpenClipNames, SayWhichKeyNeedsWhatWhereTheSizesAreUnknown) {
  const auto message = message_of<Error>([] { preset("gte-modernbert-base-ViT-B-32-256"); });
  EXPECT_NE(message.find("hf_model_name: the sizes of Alibaba-NLP/gte-modernbert-base are not known"),
            std::string::npos)
      << message;
}

TEST(OpenClipNames, AreWrittenWithWhatDiffersFromTheNamedTower) {
  auto config = preset("mt5-base-ViT-B-32");
  const auto text_cfg = [&] { return nlohmann::json::parse(to_open_clip_json(config))["model_cfg"]["text_cfg"]; };
  EXPECT_FALSE(text_cfg().contains("hf_model_config"));
  config.text.layers = 3;
  EXPECT_EQ(text_cfg()["hf_model_config"], (nlohmann::json{{"num_layers", 3}}));
}

TEST(RelativeBuckets, AreSingleDistancesThenLogarithms) {
  const auto buckets = nn::relative_buckets(200, 32, 128, at::kCPU);
  EXPECT_EQ(buckets[5][5].item<std::int64_t>(), 0);
  EXPECT_EQ(buckets[5][2].item<std::int64_t>(), 3);       // a key 3 places before
  EXPECT_EQ(buckets[5][8].item<std::int64_t>(), 16 + 3);  // and 3 behind
  EXPECT_EQ(buckets[20][0].item<std::int64_t>(), 8 + static_cast<std::int64_t>(std::log(20 / 8.0) / std::log(16) * 8));
  EXPECT_EQ(buckets[150][0].item<std::int64_t>(), 15);
  EXPECT_EQ(buckets[0][199].item<std::int64_t>(), 31);
}

/// A sentence-transformers folder around a fixture's tower.
void write_sentence_folder(const fs::path& folder, const nlohmann::json& modules, const nlohmann::json& pooling) {
  fs::copy(tower_fixture("xlm_roberta"), folder, fs::copy_options::recursive);
  fs::create_directories(folder / "1_Pooling");
  std::ofstream(folder / "modules.json") << modules;
  std::ofstream(folder / "1_Pooling" / "config.json") << pooling;
  std::ofstream(folder / "sentence_bert_config.json") << R"({"max_seq_length": 8})";
}

nlohmann::json module_entry(const char* path, const std::string& kind) {
  return {{"path", path}, {"type", "sentence_transformers.models." + kind}};
}

TEST(SentenceTransformers, BringTheirOwnPoolingAndLongestText) {
  const std::pair<const char*, TextConfig::Pool> ways[] = {{"pooling_mode_cls_token", TextConfig::Pool::first},
                                                           {"pooling_mode_mean_tokens", TextConfig::Pool::mean},
                                                           {"pooling_mode_max_tokens", TextConfig::Pool::max}};
  for (const auto& [key, pool] : ways) {
    const TempFolder folder;
    write_sentence_folder(
        folder.path() / "tower",
        {module_entry("", "Transformer"), module_entry("1_Pooling", "Pooling"), module_entry("2_N", "Normalize")},
        {{key, true}});
    const auto text = read_text_config(folder.path() / "tower");
    EXPECT_EQ(text.pool, pool);
    EXPECT_EQ(text.context_length, 8);
    EXPECT_EQ(text.position_rows, 14);
    with_text_tower(folder.path() / "tower", text);  // the whole table of positions
  }
}

/// The smaller of the tokenizer's limit and what the table of positions holds, as sentence_transformers 6.2 does.
TEST(SentenceTransformers, TakeTheTokenizersLimitWhereTheyWriteNone) {
  const auto context_of = [](const std::string& limits, const std::string& tokenizer) {
    const TempFolder folder;
    const auto tower = folder.path() / "tower";
    write_sentence_folder(tower, nlohmann::json::array({module_entry("", "Transformer")}), nlohmann::json::object());
    write_file_atomically(tower / "sentence_bert_config.json", limits);
    write_file_atomically(tower / "tokenizer_config.json", tokenizer);
    return read_text_config(tower).context_length;
  };
  const auto whole = read_text_config(tower_fixture("xlm_roberta")).context_length;
  EXPECT_EQ(context_of("{}", R"({"model_max_length": 5})"), 5);
  EXPECT_EQ(context_of(R"({"max_seq_length": null})", R"({"model_max_length": 5})"), 5);
  EXPECT_EQ(context_of(R"({"max_seq_length": 8})", R"({"model_max_length": 5})"), 8);
  EXPECT_EQ(context_of("{}", R"({"model_max_length": 1000000000000000019884624838656})"), whole);
  EXPECT_EQ(context_of("{}", R"({"model_max_length": 512})"), whole);
  EXPECT_EQ(context_of("{}", "{}"), whole);
}

TEST(SentenceTransformers, AreRefusedWithTheKeyThatIsNotBuilt) {
  const auto said = [](const nlohmann::json& modules, const nlohmann::json& pooling) {
    const TempFolder folder;
    write_sentence_folder(folder.path() / "tower", modules, pooling);
    return message_of<Error>([&] { read_text_config(folder.path() / "tower"); });
  };
  const nlohmann::json plain{module_entry("", "Transformer"), module_entry("1_Pooling", "Pooling")};
  auto dense = plain;
  dense.push_back(module_entry("2_Dense", "Dense"));
  EXPECT_NE(said(dense, {{"pooling_mode_mean_tokens", true}}).find("models.Dense"), std::string::npos);
  EXPECT_NE(said(plain, {{"pooling_mode_lasttoken", true}}).find("pooling_mode: cls, mean and max"), std::string::npos);
  EXPECT_NE(said(plain, {{"pooling_mode_cls_token", true}, {"pooling_mode_max_tokens", true}})
                .find("pooling_mode_max_tokens: one pooling"),
            std::string::npos);
  EXPECT_NE(said(nlohmann::json::array(), {}).find("got no module"), std::string::npos);
  const nlohmann::json mean{{"pooling_mode_mean_tokens", true}};
  EXPECT_NE(said({plain[1], plain[0]}, mean).find("first module"), std::string::npos);
  EXPECT_NE(said({plain[0], plain[0], plain[1]}, mean).find("one Transformer"), std::string::npos);
  EXPECT_NE(said({plain[0], plain[1], plain[1]}, mean).find("a second Pooling"), std::string::npos);
  for (const auto* path : {"../evil", "/evil", "..", "a/b"})
    EXPECT_NE(said({plain[0], module_entry(path, "Pooling")}, mean).find("is not the name of a folder beside it"),
              std::string::npos);
  EXPECT_NE(said(plain, {{"pooling_mode", "mean"}, {"pooling_mode_cls_token", true}}).find("is mean, where the switch"),
            std::string::npos);
  EXPECT_NE(
      said(plain, {{"pooling_mode", "mean"}, {"word_embedding_dimension", 999}}).find("expected the tower's width"),
      std::string::npos);
}

TEST(TowerFolders, AreNoModelFolders) {
  const auto said = [](const fs::path& folder) { return message_of<Error>([&] { DualEncoder::load(folder); }); };
  const auto text = tower_fixture("roberta"), image = tower_fixture("image_dinov2");
  EXPECT_EQ(said(text), (text / "config.json").string() +
                            ": holds one tower alone (roberta), no model of two: train --model MODEL --text-tower " +
                            text.string() + " makes one with it");
  EXPECT_NE(said(image).find("--image-tower " + image.string()), std::string::npos) << said(image);
}

/// More entries than any fixture's table has rows.
class LargeTokenizer : public Tokenizer {
 public:
  explicit LargeTokenizer(std::int64_t pad_id) : bytes_(byte_tokenizer(pad_id)) {}
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t context_length) const override {
    return bytes_->encode(text, context_length);
  }
  std::string decode(std::span<const std::int64_t> ids) const override { return bytes_->decode(ids); }
  std::int64_t vocab_size() const override { return 600; }
  std::int64_t pad_id() const override { return bytes_->pad_id(); }
  std::int64_t end_id() const override { return bytes_->end_id(); }
  void save(const fs::path&) const override {}

 private:
  std::shared_ptr<const Tokenizer> bytes_;
};

TEST(TowerFolders, NameTheTokenizerThatDoesNotFit) {
  const TempFolder folder;
  const auto tower = folder.path() / "tower";
  fs::copy(tower_fixture("roberta"), tower, fs::copy_options::recursive);
  write_file_atomically(tower / "vocab.txt", "[PAD]\n");
  ModelConfig config;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.preprocess.image_size = 16;
  config.text = read_text_config(tower);
  config.text.keeps_rows = false;  // of a model that has the tower's sizes and words of its own
  auto model = DualEncoder::create(config, std::make_shared<const LargeTokenizer>(config.text.pad_id));
  const auto said = message_of<Error>([&] { model.load_text_tower(tower); });
  EXPECT_NE(
      said.find("the tokenizer in " + (tower / "vocab.txt").string() + " has 600 entries, the table of words 514 rows"),
      std::string::npos)
      << said;
}

TEST(TowerFolders, SayThatTheTokenizerHasMoreEntriesThanTheTableRows) {
  ModelConfig config;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.preprocess.image_size = 16;
  config.text = read_text_config(tower_fixture("roberta"));
  const auto tokenizer = std::make_shared<const LargeTokenizer>(config.text.pad_id);
  EXPECT_NE(message_of<Error>([&] {
              DualEncoder::create(config, tokenizer);
            }).find("vocab_size is 514 in the tower's config, its tokenizer has 600 entries"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::text_towers_test
