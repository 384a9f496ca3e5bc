// A folder converted to a peer's layout gives that peer's ids, there and here.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "support/log_lines.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign::layout_tokenizer_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TempFolder;
using Ids = std::vector<std::int64_t>;

const fs::path fixtures = fs::path(VLALIGN_FIXTURES);

ModelConfig small(Layout layout) {
  ModelConfig config{.name = "small", .layout = layout, .embed_dim = 8};
  config.vision = VitConfig{.patch_size = 16, .width = 16, .layers = 1, .head_width = 8};
  config.text = {.context_length = 77, .width = 16, .heads = 2, .layers = 1, .own_vocabulary = true};
  config.preprocess.image_size = 32;
  config.preprocess.crop_rounds_down = layout == Layout::hugging_face;
  return config;
}

json captions(const fs::path& file) { return json::parse(read_file(fixtures / file)); }

/// Of transformers' CLIPTokenizer with the small vocabulary.
void expect_transformers(const Tokenizer& tokenizer) {
  for (const auto& entry : captions("tokenizers/captions.json")) {
    if (!entry.contains("text")) continue;
    EXPECT_EQ(tokenizer.encode(entry.at("text").get<std::string>(), 48), entry.at("clip").get<Ids>())
        << entry.at("text");
  }
}

/// Of open_clip's HFTokenizer around it.
void expect_open_clips(const Tokenizer& tokenizer, const char* name = "clip_whitespace") {
  for (const auto& entry : captions("tokenizers/cleanings.json"))
    EXPECT_EQ(tokenizer.encode(entry.at("text").get<std::string>(), 24), entry.at(name).get<Ids>()) << entry.at("text");
}

std::shared_ptr<const Tokenizer> hugging_face_clip() { return load_tokenizer(fixtures / "tokenizer" / "hugging_face"); }

/// Saved, and loaded again.
DualEncoder back(const DualEncoder& model, const fs::path& folder) {
  model.save(folder / "model");
  return DualEncoder::load(folder / "model");
}

TEST(LayoutTokenizer, ConvertedToTransformersGivesItsIds) {
  const TempFolder open_clip, hugging_face;
  auto model = back(DualEncoder::create(small(Layout::open_clip), hugging_face_clip()), open_clip.path());
  expect_open_clips(*model.tokenizer());
  const test::LogLines log;
  model.set_layout(Layout::hugging_face);
  EXPECT_TRUE(log.has("captions are read as transformers reads them from now on"));
  expect_transformers(*model.tokenizer());
  expect_transformers(*back(model, hugging_face.path()).tokenizer());
  const auto config = json::parse(read_file(hugging_face.path() / "model" / "tokenizer_config.json"));
  EXPECT_FALSE(config.contains("cleaning"));
}

TEST(LayoutTokenizer, ConvertedToOpenClipGivesItsIds) {
  const TempFolder open_clip, hugging_face;
  auto model = back(DualEncoder::create(small(Layout::hugging_face), hugging_face_clip()), hugging_face.path());
  expect_transformers(*model.tokenizer());
  const test::LogLines log;
  model.set_layout(Layout::open_clip);
  EXPECT_TRUE(log.has("captions are read as open_clip reads them from now on"));
  expect_open_clips(*model.tokenizer());
  expect_open_clips(*back(model, open_clip.path()).tokenizer());
}

/// A vocabulary that open_clip's tokenizer was trained with is read behind transformers' there, as any but CLIP's own.
TEST(LayoutTokenizer, OneTrainedOnCaptionsIsReadAsThePeerReadsItsFiles) {
  const TempFolder folder;
  const auto trained = train_tokenizer(std::vector<std::string>(3, "a caf\u00e9"), 600);
  const auto model = DualEncoder::create(small(Layout::open_clip), trained);
  const auto again = back(model, folder.path());
  for (const auto* text : {"A caf\u00e9, don\u2019t", "R&amp;D", "<|endoftext|> a"})
    EXPECT_EQ(again.tokenizer()->encode(text, 77), model.tokenizer()->encode(text, 77));
  EXPECT_EQ(model.tokenizer()->encode("don\u2019t", 77), model.tokenizer()->encode("don't", 77));  // ftfy's work
}

TEST(LayoutTokenizer, AConfigsCleaningIsTheTokenizers) {
  const TempFolder folder;
  auto config = small(Layout::open_clip);
  config.text.cleaning = "canonicalize";
  const auto model = DualEncoder::create(config, hugging_face_clip());
  expect_open_clips(*model.tokenizer(), "clip_canonicalize");
  expect_open_clips(*back(model, folder.path()).tokenizer(), "clip_canonicalize");
}

TEST(LayoutTokenizer, ClipasSeparatorIsTakenAwayAndComesBack) {
  const TempFolder folder, other;
  auto config = small(Layout::open_clip);
  config.text.strip_separator = true;
  config.text.pool = TextConfig::Pool::last;
  config.text.causal = false;
  const auto model = DualEncoder::create(config, load_tokenizer(fixtures / "tokenizers" / "bert"));
  const auto again = back(model, folder.path());
  for (const auto& entry : captions("tokenizers/cleanings.json")) {
    auto ids = again.tokenizer()->encode(entry.at("text").get<std::string>(), 24);
    ids.resize(24, again.tokenizer()->pad_id());
    EXPECT_EQ(ids, entry.at("bert_stripped").get<Ids>()) << entry.at("text");
  }
  EXPECT_TRUE(again.config().text.strip_separator);
}

/// transformers' sizes before a crop, which open_clip's config has no key for.
TEST(LayoutTokenizer, AResizeThatALayoutCannotSayIsRefusedByName) {
  auto config = small(Layout::hugging_face);
  config.preprocess.resize_size = 40;
  const TempFolder folder;
  auto model = back(DualEncoder::create(config, hugging_face_clip()), folder.path());
  EXPECT_EQ(model.config().preprocess.resize_size, 40);
  EXPECT_EQ(test::message_of<Error>([&] { model.set_layout(Layout::open_clip); }),
            "model model: open_clip's layout can't hold it: preprocess.resize_size 40 would come back as 0; Hugging "
            "Face's can");
  EXPECT_EQ(model.config().layout, Layout::hugging_face);
}

}  // namespace
}  // namespace vlalign::layout_tokenizer_test
