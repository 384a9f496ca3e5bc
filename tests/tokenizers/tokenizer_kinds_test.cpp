// RoBERTa's, XLM-RoBERTa's, T5's, mT5's, NLLB's and Chinese BERT's tokenizers and tiktoken's, against transformers,
// tiktoken and open_clip.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/tiktoken_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign::tokenizer_kinds_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TempFolder;
using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kContextLength = 48;  // of the fixture
const fs::path kFixtures = fs::path(VLALIGN_FIXTURES) / "tokenizer_kinds";
const std::vector<std::string> kKinds{"roberta",   "xlm_roberta", "xlm_roberta_model", "t5_extra",  "t5_model",
                                      "mt5_model", "nllb",        "nllb_model",        "r50k_base", "cl100k_base",
                                      "chinese"};

std::string message_of(const std::function<void()>& call) { return test::message_of<Error>(call); }

json read_json(const fs::path& file) { return json::parse(read_file(file)); }

void write(const fs::path& file, std::string_view contents) {
  std::ofstream(file, std::ios::binary).write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

std::string text_of(const json& entry) {
  if (entry.contains("text")) return entry.at("text");
  const auto hex = entry.at("bytes").get<std::string>();
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return bytes;
}

void expect_peer_ids(const Tokenizer& tokenizer, const std::string& kind) {
  const auto captions = read_json(kFixtures / "captions.json");
  ASSERT_GT(captions.size(), 40U);
  for (const auto& entry : captions)
    EXPECT_EQ(tokenizer.encode(text_of(entry), kContextLength), entry.at(kind).get<Ids>()) << kind << entry.dump();
}

void copy_files(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) fs::copy(entry.path(), to / entry.path().filename());
}

void write_open_clip_config(const fs::path& folder, const json& text_cfg) {
  write(folder / "open_clip_config.json", json{{"model_cfg", {{"text_cfg", text_cfg}}}}.dump());
}

TEST(TokenizerKinds, GiveTheIdsOfTheirPeers) {
  for (const auto& kind : kKinds) expect_peer_ids(*load_tokenizer(kFixtures / kind), kind);
}

TEST(TokenizerKinds, GiveTheSameIdsFromTheFilesTheySave) {
  for (const auto& kind : kKinds) {
    const TempFolder saved;
    const auto tokenizer = load_tokenizer(kFixtures / kind);
    tokenizer->save(saved.path());
    const auto again = load_tokenizer(saved.path());
    expect_peer_ids(*again, kind);
    EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size()) << kind;
    EXPECT_EQ(again->pad_id(), tokenizer->pad_id()) << kind;
    EXPECT_EQ(again->end_id(), tokenizer->end_id()) << kind;
  }
}

TEST(TokenizerKinds, AreKnownByTheirVocabularyAlone) {
  for (const auto* kind : {"roberta", "xlm_roberta", "t5_extra", "nllb"}) {
    const TempFolder folder;
    fs::copy(kFixtures / kind / "tokenizer.json", folder.path() / "tokenizer.json");
    expect_peer_ids(*load_tokenizer(folder.path()), kind);
    expect_peer_ids(*load_tokenizer(kFixtures / kind / "tokenizer.json"), kind);
  }
  const TempFolder folder;
  fs::copy(kFixtures / "xlm_roberta_model" / "sentencepiece.bpe.model", folder.path() / "sentencepiece.bpe.model");
  expect_peer_ids(*load_tokenizer(folder.path()), "xlm_roberta_model");
}

TEST(TokenizerKinds, PadWithTheirOwnToken) {
  using Ids = std::pair<std::int64_t, std::int64_t>;
  const auto pad_and_end = [](const char* kind) {
    const auto tokenizer = load_tokenizer(kFixtures / kind);
    return Ids(tokenizer->pad_id(), tokenizer->end_id());
  };
  EXPECT_EQ(pad_and_end("roberta"), Ids(1, 2));
  EXPECT_EQ(pad_and_end("xlm_roberta_model"), Ids(1, 2));
  EXPECT_EQ(pad_and_end("mt5_model"), Ids(0, 1));
  EXPECT_EQ(pad_and_end("nllb"), Ids(1, 2));
  EXPECT_EQ(pad_and_end("r50k_base"), Ids(602, 601));    // behind 600 ranks and <|endoftext|>
  EXPECT_EQ(pad_and_end("cl100k_base"), Ids(622, 621));  // its special tokens end at 620
}

TEST(TokenizerKinds, CleanCaptionsAsOpenClipBesideItsConfig) {
  const TempFolder folder;
  copy_files(kFixtures / "xlm_roberta", folder.path());
  write_open_clip_config(folder.path(), {{"hf_tokenizer_name", "local"}});
  expect_peer_ids(*load_tokenizer(folder.path()), "xlm_roberta_whitespace");
  write_open_clip_config(folder.path(),
                         {{"hf_tokenizer_name", "local"}, {"tokenizer_kwargs", {{"clean", "whitespace_underscore"}}}});
  EXPECT_EQ(load_tokenizer(folder.path())->encode(" sea_waves &amp;  sand_", 20),
            load_tokenizer(kFixtures / "xlm_roberta")->encode("sea waves & sand", 20));
}

TEST(TokenizerKinds, TakeNllbsLanguageWhereTransformersDoes) {
  for (const auto* key : {"src_lang", "language"}) {
    const TempFolder folder;
    copy_files(kFixtures / "nllb", folder.path());
    write_open_clip_config(folder.path(), {{"hf_tokenizer_name", "local"}, {"tokenizer_kwargs", {{key, "zul_Latn"}}}});
    expect_peer_ids(*load_tokenizer(folder.path()), std::string("nllb_") + key);
  }
}

TEST(TokenizerKinds, ReadGpt2sVocabularyAsTiktokens) {
  const TempFolder folder;
  load_tokenizer(fs::path(VLALIGN_FIXTURES) / "tokenizers" / "gpt2")->save(folder.path());
  write_open_clip_config(folder.path(), {{"tokenizer_type", "tiktoken"}, {"tiktoken_name", "r50k_base"}});
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path()); }).find("expected <|endoftext|> as the last entry"),
            std::string::npos);  // the fixture's is the first
}

TEST(TokenizerKinds, KeepTheEndTokenLastWhenCut) {
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(kFixtures / kind);
    const auto whole = tokenizer->encode("a photo of two cats on a red bicycle", 1000);
    for (std::int64_t length = 1; length <= static_cast<std::int64_t>(whole.size()) + 2; ++length) {
      const auto ids = tokenizer->encode("a photo of two cats on a red bicycle", length);
      ASSERT_EQ(ids.size(), std::min(whole.size(), static_cast<std::size_t>(length))) << kind;
      EXPECT_EQ(ids.back(), tokenizer->end_id()) << kind;
      EXPECT_TRUE(std::equal(ids.begin(), ids.end() - 1, whole.begin())) << kind;
    }
  }
}

TEST(TokenizerKinds, TakeWordsAndCaptionsOfAMillionBytes) {
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(kFixtures / kind);
    for (const std::string_view part : {"a", "a ", "!", "\u6f22", "\U0001f600", "<", "  ", "\n"}) {
      std::string text;
      while (text.size() < 1'000'000) text += part;
      EXPECT_EQ(tokenizer->encode(text, kContextLength).back(), tokenizer->end_id()) << kind << ": " << part;
    }
  }
}

TEST(TokenizerKinds, DecodeWhatTheyEncoded) {
  const auto decoded = [](const char* kind, const std::string& text) {
    const auto tokenizer = load_tokenizer(kFixtures / kind);
    return tokenizer->decode(tokenizer->encode(text, 100));
  };
  for (const auto* kind : {"roberta", "xlm_roberta", "t5_extra", "nllb", "cl100k_base", "r50k_base"})
    EXPECT_EQ(decoded(kind, "a photo of two dogs"), "a photo of two dogs") << kind;
}

TEST(TokenizerKinds, NameTheFaultOfADamagedFile) {
  const auto message = [](const std::string& kind, const std::string& file,
                          const std::function<std::string(std::string)>& change) {
    const TempFolder folder;
    copy_files(kFixtures / kind, folder.path());
    write(folder.path() / file, change(read_file(folder.path() / file)));
    auto text = message_of([&] { load_tokenizer(folder.path()); });
    EXPECT_NE(text.find(file), std::string::npos) << text;
    return text;
  };
  const auto half = [](const std::string& text) { return text.substr(0, text.size() / 2); };
  for (const auto* kind : {"roberta", "xlm_roberta", "t5_extra", "nllb"}) message(kind, "tokenizer.json", half);
  message("xlm_roberta_model", "sentencepiece.bpe.model", half);
  message("nllb_model", "sentencepiece.bpe.model", half);
  message("t5_model", "spiece.model", half);
  const auto tiktoken = [&](const std::string& text) {
    return message("r50k_base", "r50k_base.tiktoken", [&](const std::string&) { return text; });
  };
  EXPECT_NE(tiktoken("IQ== 0\nIg==\n").find("line 2: expected a token in base64, a space and its rank"),
            std::string::npos);
  EXPECT_NE(tiktoken("IQ== 0\nIg== 0\n").find("line 2: the rank 0 is another token's already"), std::string::npos);
  EXPECT_NE(tiktoken("IQ== 0\nIg== x\n").find("expected a rank below"), std::string::npos);
  EXPECT_NE(tiktoken("IQ== 0\n").find("the byte 0x00 has no token"), std::string::npos);
}

TEST(TokenizerKinds, SayWhereTiktokensFileBelongs) {
  const TempFolder folder;
  write_open_clip_config(folder.path(), {{"tokenizer_type", "tiktoken"}, {"tiktoken_name", "p50k_base"}});
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path()); }).find("expected p50k_base.tiktoken in this folder"),
            std::string::npos);
  write_open_clip_config(folder.path(), {{"tokenizer_type", "tiktoken"}, {"tiktoken_name", "o200k_base"}});
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path()); }).find("p50k_base and cl100k_base are read here, got o2"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::tokenizer_kinds_test
