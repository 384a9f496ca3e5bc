// A model with the text tower of a folder: what open_clip reads of it, and what is refused. Names of tensors and keys
// are those that open_clip wrote or has in its CLIPTextCfg (tests/fixtures/make_text_towers.py).
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/io/files.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/peer_limits.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::text_tower_folders_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::byte_tokenizer;
using test::message_of;
using test::TempFolder;

constexpr auto words = "embeddings.word_embeddings.weight";

fs::path fixture(const std::string& name) { return fs::path(VLALIGN_FIXTURES) / "towers" / name; }

ModelConfig small() {
  ModelConfig config;
  config.name = "small";
  config.embed_dim = 12;
  config.vision = VitConfig{.patch_size = 8, .width = 16, .layers = 1, .head_width = 8};
  config.preprocess.image_size = 16;
  return config;
}

DualEncoder with_tower(const fs::path& folder, std::optional<std::int64_t> context = {}) {
  const auto config = with_text_tower(small(), folder, context);
  auto model = DualEncoder::create(config, byte_tokenizer(config.text.pad_id));
  model.load_text_tower(folder);
  model.train(false);
  return model;
}

/// A copy of a fixture with other values in its config.
void change(const fs::path& from, const fs::path& to, const json& values) {
  fs::copy(from, to, fs::copy_options::recursive);
  auto config = read_json_object(to / "config.json");
  config.update(values);
  std::ofstream(to / "config.json") << config;
}

std::set<std::string> text_names(const fs::path& file) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : read_safetensors(file).tensors)
    if (name.starts_with("text.transformer.") && !name.starts_with("text.transformer.pooler.")) names.insert(name);
  return names;
}

class Written : public testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Towers, Written,
                         testing::Values(std::pair("roberta", "open_clip_roberta"), std::pair("mt5", "open_clip_mt5"),
                                         std::pair("m2m_100", "open_clip_nllb")));

TEST_P(Written, HasTheKeysAndNamesThatOpenClipReads) {
  const TempFolder folder;
  const auto model = with_tower(fixture(GetParam().first));
  model.save(folder.path() / "model");
  EXPECT_EQ(text_names(folder.path() / "model" / "open_clip_model.safetensors"),
            text_names(fixture(GetParam().second) / "open_clip_model.safetensors"));
  const auto text = read_json_object(folder.path() / "model" / "open_clip_config.json").at("model_cfg").at("text_cfg");
  const std::set<std::string> known{"context_length", "hf_model_name",   "hf_model_pretrained", "hf_proj_type",
                                    "hf_pooler_type", "hf_model_config", "hf_tokenizer_name",   "tokenizer_kwargs"};
  for (const auto& [key, value] : text.items()) EXPECT_TRUE(known.contains(key)) << key;
  EXPECT_EQ(text.at("hf_model_pretrained"), false);
  const auto limits = peer_limits(model.config());
  EXPECT_TRUE(limits.of_every_version.empty());
  EXPECT_EQ(limits.of_older_versions.size(), 1);  // hf_model_config
}

TEST(TextTowerFolder, OfT5IsNamedAsTheMt5ThatOpenClipKnowsWithWhatItsClassWorksOut) {
  const auto model = with_tower(fixture("t5"));  // relu, where mT5 is gated
  EXPECT_EQ(model.config().text.peer_name, "google/mt5-small");
  const auto text = parse_json(to_open_clip_json(model.config()), "text").at("model_cfg").at("text_cfg");
  EXPECT_EQ(text.at("hf_model_config").at("is_gated_act"), false);
  EXPECT_EQ(text.at("hf_model_config").at("dense_act_fn"), "relu");
}

TEST(TextTowerFolder, OfBertsOwnSizesNeedsNoKeyThatOlderVersionsLack) {
  const TempFolder folder;
  std::ofstream(folder.path() / "config.json") << json{{"model_type", "bert"}};
  const auto config = with_text_tower(small(), folder.path());
  const auto root = parse_json(to_open_clip_json(config), "config");
  EXPECT_EQ(root.at("model_cfg").at("text_cfg").at("hf_model_name"), "bert-base-uncased");
  EXPECT_FALSE(root.at("model_cfg").at("text_cfg").contains("hf_model_config"));
  check_comes_back(with_layout(config, Layout::open_clip));  // with its dropout of 0.1
  EXPECT_EQ(config.text.block.dropout, 0.1);
}

TEST(TextTowerFolder, OfAWholeModelIsTaken) {
  const at::NoGradGuard no_graph;
  const auto expected = read_safetensors(fixture("open_clip_roberta") / "expected.safetensors").tensors;
  const auto model = with_tower(fixture("open_clip_roberta"));
  const auto whole =
      test::peer_model(fixture("open_clip_roberta"), fixture("open_clip_roberta") / "open_clip_config.json");
  const auto& tokens = expected.at("tokens");
  EXPECT_TRUE(model.text_features(tokens).pooled.equal(whole.text_features(tokens).pooled));
}

TEST(TextTowerFolder, TakesTheContextLengthThatIsAskedFor) {
  const auto all = read_text_config(fixture("roberta"));
  const auto shorter = with_tower(fixture("roberta"), 5);
  EXPECT_EQ(shorter.config().text.context_length, 5);
  EXPECT_EQ(shorter.config().text.position_rows, all.context_length + 2);  // rows are kept, as transformers has them
}

TEST(TextTowerFolder, KeepsSpareRowsOfTheTableOfWords) {
  const TempFolder folder;
  const auto place = folder.path() / "tower";
  change(fixture("roberta"), place, {{"vocab_size", 544}});
  auto tensors = read_safetensors(fixture("roberta") / "model.safetensors").tensors;
  tensors[words] = at::cat({tensors.at(words), at::zeros({30, tensors.at(words).size(1)})});
  write_safetensors(place / "model.safetensors", tensors);
  EXPECT_EQ(with_tower(place).config().text.vocab_size, 544);
  const auto config = with_text_tower(small(), test::model_fixture("hf_gpt2"));
  EXPECT_EQ(DualEncoder::create(config, byte_tokenizer()).config().text.vocab_size, config.text.vocab_size);
}

TEST(TextTowerFolder, IsRefusedWhereItsFilesDisagree) {
  const auto said = [](const json& values) {
    const TempFolder folder;
    change(fixture("roberta"), folder.path() / "tower", values);
    return message_of<Error>([&] {
      auto config = with_text_tower(small(), folder.path() / "tower");
      DualEncoder::create(config, byte_tokenizer(1)).load_text_tower(folder.path() / "tower");
    });
  };
  EXPECT_NE(said({{"vocab_size", 500}}).find("vocab_size is 500 in the tower's config, its tokenizer has 514"),
            std::string::npos);
  EXPECT_NE(said({{"max_position_embeddings", 5}}).find("embeddings.position_embeddings.weight has"),
            std::string::npos);
  EXPECT_NE(said({{"max_position_embeddings", 5}}).find("max_position_embeddings stands for 5"), std::string::npos);
  EXPECT_NE(said({{"pad_token_id", 0}}).find("pad_token_id is 0, the tokenizer fills texts up with 1"),
            std::string::npos);
  EXPECT_NE(said({{"is_decoder", true}}).find("is_decoder: only false"), std::string::npos);
}

TEST(NewTower, HasRowsForAPaddingThatIsCountedFromFurtherOn) {
  const TempFolder folder;
  auto config = with_text_tower(small(), fixture("xlm_roberta"));
  config.text.keeps_rows = false;
  const auto model = DualEncoder::create(config, byte_tokenizer(300));
  const auto& text = model.config().text;
  EXPECT_EQ(model.module()->text->named_parameters()["embeddings.position_embeddings.weight"].size(0),
            text.pad_id + 1 + config.text.context_length);
  EXPECT_GT(text.pad_id, config.text.pad_id);
}

}  // namespace
}  // namespace vlalign::text_tower_folders_test
