// What open_clip's text_cfg.tokenizer_kwargs do to a caption (tests/fixtures/make_cleanings.py).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "support/log_lines.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::cleanings_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::message_of;
using test::TempFolder;
using Ids = std::vector<std::int64_t>;

const fs::path fixtures = fs::path(VLALIGN_FIXTURES);
constexpr std::int64_t length = 24;

/// The files of a fixture beside an open_clip_config.json with this text_cfg.
std::shared_ptr<const Tokenizer> load(const fs::path& files, const json& text_cfg) {
  const TempFolder folder;
  for (const auto& entry : fs::directory_iterator(files))
    if (entry.path().extension() != ".gz") fs::copy(entry.path(), folder.path() / entry.path().filename());
  write_file_atomically(folder.path() / "open_clip_config.json", json{{"model_cfg", {{"text_cfg", text_cfg}}}}.dump());
  return load_tokenizer(folder.path());
}

const fs::path clip = fixtures / "tokenizer" / "hugging_face", bert = fixtures / "tokenizers" / "bert";

json foreign(const json& kwargs) { return {{"hf_tokenizer_name", "local"}, {"tokenizer_kwargs", kwargs}}; }

void expect_peers(const Tokenizer& tokenizer, const char* name, bool padded = false) {
  for (const auto& entry : json::parse(read_file(fixtures / "tokenizers" / "cleanings.json"))) {
    auto ids = tokenizer.encode(entry.at("text").get<std::string>(), length);
    if (padded) ids.resize(length, tokenizer.pad_id());
    EXPECT_EQ(ids, entry.at(name).get<Ids>()) << name << ": " << entry.at("text");
  }
}

TEST(Cleanings, OfClipsOwnVocabularyAreOpenClips) {
  for (const auto* clean : {"whitespace", "canonicalize"})
    expect_peers(*load(clip, {{"tokenizer_kwargs", {{"clean", clean}}}}), ("small_" + std::string(clean)).c_str());
}

TEST(Cleanings, OfTransformersTokenizersAreOpenClips) {
  for (const auto* clean : {"whitespace", "canonicalize"})
    expect_peers(*load(clip, foreign({{"clean", clean}})), ("clip_" + std::string(clean)).c_str());
  expect_peers(*load(clip, foreign(json::object())), "clip_whitespace");
}

TEST(Cleanings, ASeparatorIsTakenAwayAsForClipa) {
  expect_peers(*load(bert, foreign({{"strip_sep_token", true}})), "bert_stripped", true);
  expect_peers(*load(bert, foreign({{"strip_sep_token", true}, {"clean", "lower"}})), "bert_lower_stripped", true);
}

TEST(Cleanings, ComeBackFromTheFilesOfTheTokenizerAlone) {
  const auto all = {load(clip, {{"tokenizer_kwargs", {{"clean", "whitespace"}}}}),
                    load(clip, {{"tokenizer_kwargs", {{"clean", "canonicalize"}}}}),
                    load(clip, foreign(json::object())), load(bert, foreign({{"strip_sep_token", true}}))};
  for (const auto& tokenizer : all) {
    const TempFolder saved;
    tokenizer->save(saved.path());
    const auto again = load_tokenizer(saved.path());
    for (const auto* text : {"It\u2019s a CAT, isn't_it?", "[SEP] a", ""})
      EXPECT_EQ(again->encode(text, length), tokenizer->encode(text, length)) << text;
    EXPECT_EQ(again->pad_id(), tokenizer->pad_id());
    EXPECT_EQ(again->end_id(), tokenizer->end_id());
  }
}

TEST(Cleanings, ThatAreNoneOrDoNotGoTogetherAreErrors) {
  const auto error = [](const fs::path& files, const json& text_cfg) {
    return message_of<Error>([&] { load(files, text_cfg); });
  };
  const auto has = [](const std::string& message, std::string_view part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  has(error(clip, {{"tokenizer_kwargs", {{"clean", "loud"}}}}),
      "clean: expected whitespace, lower or canonicalize, got loud");
  has(error(clip, {{"tokenizer_kwargs", {{"reduction_mask", "syntax"}}}}),
      "tokenizer_kwargs.reduction_mask: not read here");
  has(error(clip, {{"tokenizer_kwargs", {{"strip_sep_token", true}}}}), "CLIP's own tokenizer has no separator");
  has(error(fixtures / "tokenizers" / "gpt2", foreign({{"strip_sep_token", true}})), "no separator token");
}

/// A key of ours has no say in a folder that transformers reads.
TEST(Cleanings, AreTransformersInTheFolderOfAModelOfItsOwn) {
  const TempFolder folder;
  for (const auto& entry : fs::directory_iterator(clip))
    fs::copy(entry.path(), folder.path() / entry.path().filename());
  write_file_atomically(folder.path() / "tokenizer_config.json",
                        R"({"tokenizer_class": "CLIPTokenizer", "cleaning": "open_clip"})");
  write_file_atomically(folder.path() / "config.json", R"({"model_type": "clip"})");
  const test::LogLines log;
  const auto tokenizer = load_tokenizer(folder.path());
  for (const auto& entry : json::parse(read_file(fixtures / "tokenizers" / "captions.json"))) {
    if (!entry.contains("text")) continue;
    EXPECT_EQ(tokenizer->encode(entry.at("text").get<std::string>(), 48), entry.at("clip").get<Ids>())
        << entry.at("text");
  }
  EXPECT_TRUE(log.has("cleaning \"open_clip\" is a key that transformers doesn't know"));
}

}  // namespace
}  // namespace vlalign::cleanings_test
