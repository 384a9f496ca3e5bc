#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "tokenizers/gpt2_tokenizer.hpp"
#include "tokenizers/sentence_piece_tokenizer.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::load_tokenizer_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TempFolder;
using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kContextLength = 48;  // of the fixture
const fs::path kFixtures = fs::path(VLALIGN_FIXTURES) / "tokenizers";
const fs::path kClip = fs::path(VLALIGN_FIXTURES) / "tokenizer" / "hugging_face";

#ifdef VLALIGN_SENTENCEPIECE
const std::vector<std::string> kKinds{"clip", "gpt2", "bert", "bert_cased", "t5", "siglip2", "gemma", "siglip"};
#else
const std::vector<std::string> kKinds{"clip", "gpt2", "bert", "bert_cased", "t5", "siglip2", "gemma"};
#endif

fs::path folder_of(const std::string& kind) { return kind == "clip" ? kClip : kFixtures / kind; }

std::string message_of(const std::function<void()>& call) { return test::message_of<Error>(call); }

json read_json(const fs::path& file) { return json::parse(read_file(file)); }

void write(const fs::path& file, std::string_view contents) {
  std::ofstream(file, std::ios::binary).write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

std::string text_of(const json& entry) {
  if (entry.contains("text")) return entry.at("text");
  const auto hex = entry.at("bytes").get<std::string>();
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

void copy_files(const fs::path& from, const fs::path& to) {
  for (const auto& entry : fs::directory_iterator(from)) fs::copy(entry.path(), to / entry.path().filename());
}

/// Every caption of the fixture gets the ids that the peer gave.
void expect_peer_ids(const Tokenizer& tokenizer, const std::string& kind) {
  const auto captions = read_json(kFixtures / "captions.json");
  ASSERT_GT(captions.size(), 100U);
  for (const auto& entry : captions) {
    EXPECT_EQ(tokenizer.encode(text_of(entry), kContextLength), entry.at(kind).get<Ids>())
        << kind << ": " << entry.dump();
  }
}

std::shared_ptr<const Tokenizer> beside_open_clip_config(const std::string& kind, const json& text_config,
                                                         const fs::path& folder) {
  copy_files(folder_of(kind), folder);
  write(folder / "open_clip_config.json", json{{"model_cfg", {{"text_cfg", text_config}}}}.dump());
  return load_tokenizer(folder);
}

TEST(LoadTokenizer, GivesTheIdsOfTransformersForEachKindOfFolder) {
  for (const auto& kind : kKinds) expect_peer_ids(*load_tokenizer(folder_of(kind)), kind);
}

TEST(LoadTokenizer, GivesTheSameIdsFromTheFilesItsTokenizersSave) {
  for (const auto& kind : kKinds) {
    const TempFolder saved;
    const auto tokenizer = load_tokenizer(folder_of(kind));
    tokenizer->save(saved.path());
    const auto again = load_tokenizer(saved.path());
    expect_peer_ids(*again, kind);
    EXPECT_EQ(again->vocab_size(), tokenizer->vocab_size()) << kind;
    EXPECT_EQ(again->pad_id(), tokenizer->pad_id()) << kind;
    EXPECT_EQ(again->end_id(), tokenizer->end_id()) << kind;
  }
}

TEST(LoadTokenizer, KnowsEachKindByItsVocabularyAlone) {
  for (const auto& kind : kKinds) {
    if (kind == "bert_cased" || kind == "t5") continue;  // what tokenizer_config.json says of them can't be guessed
    const TempFolder saved;
    load_tokenizer(folder_of(kind))->save(saved.path());
    fs::remove(saved.path() / "tokenizer_config.json");
    expect_peer_ids(*load_tokenizer(saved.path()), kind);
  }
}

TEST(LoadTokenizer, ReadsATokenizerJsonByItself) {
  for (const auto* kind : {"gpt2", "bert", "bert_cased", "siglip2", "gemma"}) {
    expect_peer_ids(*load_tokenizer(kFixtures / kind / "tokenizer.json"), kind);
  }
}

TEST(LoadTokenizer, LowercasesForGemmasTokenizerInTheFolderOfASiglip2Model) {
  const TempFolder folder;
  copy_files(folder_of("gemma"), folder.path());
  write(folder.path() / "config.json", R"({"model_type": "siglip2"})");
  expect_peer_ids(*load_tokenizer(folder.path()), "gemma_beside_siglip2");
}

TEST(LoadTokenizer, CleansCaptionsAsOpenClipBesideItsConfig) {
  const TempFolder bert, clip;
  const auto wrapped = beside_open_clip_config("bert", {{"hf_tokenizer_name", "local"}}, bert.path());
  expect_peer_ids(*wrapped, "bert_whitespace");
  const auto clip_tokenizer = beside_open_clip_config("clip", json::object(), clip.path());
  for (const auto& entry : read_json(fs::path(VLALIGN_FIXTURES) / "tokenizer" / "captions.json")) {
    EXPECT_EQ(clip_tokenizer->encode(text_of(entry), 77), entry.at("small").get<Ids>()) << entry.dump();
  }
#ifdef VLALIGN_SENTENCEPIECE
  const TempFolder t5;
  const json text{{"hf_tokenizer_name", "local"}, {"tokenizer_kwargs", {{"clean", "canonicalize"}}}};
  expect_peer_ids(*beside_open_clip_config("t5", text, t5.path()), "t5_canonicalize");
#endif
}

TEST(LoadTokenizer, KeepsTheCleaningOfASavedClipTokenizer) {
  const TempFolder saved;
  const auto trained = train_tokenizer(std::vector<std::string>(3, "&amp; a caf\u00e9"), 600);
  trained->save(saved.path());
  const auto again = load_tokenizer(saved.path());
  for (const auto* text : {"R&amp;D", "IT\u2019S", "<start_of_text>!", "\ufb01"}) {
    EXPECT_EQ(again->encode(text, 77), trained->encode(text, 77)) << text;
  }
  EXPECT_EQ(again->pad_id(), 0);
}

TEST(LoadTokenizer, PadsWithTheTokenThatTheFolderNames) {
  const auto pad_id = [](const std::string& kind, const json& changes) {
    const TempFolder folder;
    copy_files(folder_of(kind), folder.path());
    auto config = fs::exists(folder.path() / "tokenizer_config.json")
                      ? read_json(folder.path() / "tokenizer_config.json")
                      : json{{"tokenizer_class", "CLIPTokenizer"}};
    config.update(changes);
    write(folder.path() / "tokenizer_config.json", config.dump());
    return load_tokenizer(folder.path())->pad_id();
  };
  EXPECT_EQ(pad_id("clip", json::object()), 913);  // <|endoftext|>
  EXPECT_EQ(pad_id("clip", {{"pad_token", "!"}}), 0);
  EXPECT_EQ(pad_id("clip", {{"pad_token", {{"content", "!"}, {"lstrip", false}}}}), 0);
  EXPECT_EQ(pad_id("gpt2", json::object()), 0);  // <|endoftext|> is the fixture's first
  EXPECT_EQ(pad_id("gpt2", {{"pad_token", "!"}}), 1);
  EXPECT_EQ(pad_id("siglip2", json::object()), 0);
  EXPECT_EQ(pad_id("siglip2", {{"pad_token", "<eos>"}}), 1);
  EXPECT_EQ(pad_id("bert", json::object()), 0);
  EXPECT_EQ(pad_id("bert", {{"pad_token", "[MASK]"}}), 4);
#ifdef VLALIGN_SENTENCEPIECE
  EXPECT_EQ(pad_id("siglip", json::object()), 1);  // </s>
  EXPECT_EQ(pad_id("t5", json::object()), 0);      // <pad>
#endif
}

TEST(LoadTokenizer, KeepsTheEndTokenLastWhenCut) {
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(folder_of(kind));
    const std::string text = "a photo of two cats on a red bicycle";
    const auto whole = tokenizer->encode(text, 1000);
    for (std::int64_t length = 1; length <= static_cast<std::int64_t>(whole.size()) + 2; ++length) {
      const auto ids = tokenizer->encode(text, length);
      const auto size = std::min(whole.size(), static_cast<std::size_t>(length));
      ASSERT_EQ(ids.size(), size) << kind;
      EXPECT_EQ(ids.back(), tokenizer->end_id()) << kind;
      EXPECT_TRUE(std::equal(ids.begin(), ids.end() - 1, whole.begin())) << kind;
    }
    EXPECT_NE(message_of([&] { tokenizer->encode(text, 0); }).find("context_length: expected at least 1, got 0"),
              std::string::npos);
  }
}

TEST(LoadTokenizer, DecodesWhatItsTokenizersEncoded) {
  const auto decoded = [](const std::string& kind, const std::string& text) {
    const auto tokenizer = load_tokenizer(folder_of(kind));
    return tokenizer->decode(tokenizer->encode(text, 100));
  };
  EXPECT_EQ(decoded("gpt2", " A  caf\u00e9,\n\u6f22\u5b57 it's 3.14 "), " A  caf\u00e9,\n\u6f22\u5b57 it's 3.14 ");
  EXPECT_EQ(decoded("gemma", " A  caf\u00e9,\n\u6f22\u5b57 it's 3.14 "), " A  caf\u00e9,\n\u6f22\u5b57 it's 3.14 ");
  EXPECT_EQ(decoded("siglip2", "A  photo of \U0001fae0"), "a  photo of \U0001fae0");
  EXPECT_EQ(decoded("bert", "A photo of TWO dogs"), "a photo of two dogs");
  EXPECT_EQ(decoded("bert_cased", "A photo of dogs"), "A photo of dogs");
  EXPECT_EQ(decoded("clip", "A photo, of TWO dogs"), "a photo , of two dogs");
#ifdef VLALIGN_SENTENCEPIECE
  EXPECT_EQ(decoded("siglip", "A photo, of TWO  dogs!"), "a photo of two dogs");
  EXPECT_EQ(decoded("t5", "a photo of  two dogs"), "a photo of two dogs");
#endif
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(folder_of(kind));
    EXPECT_NE(message_of([&] { tokenizer->decode(Ids{tokenizer->vocab_size()}); }).find("ids: expected 0 to"),
              std::string::npos);
    EXPECT_NE(message_of([&] { tokenizer->decode(Ids{-1}); }).find("got -1"), std::string::npos) << kind;
  }
}

TEST(LoadTokenizer, TakesAnyBytesAsACaption) {
  std::mt19937 random(0);
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(folder_of(kind));
    for (int i = 0; i < 500; ++i) {
      std::string bytes(random() % 200, '\0');
      for (auto& byte : bytes) byte = static_cast<char>(random());
      const auto ids = tokenizer->encode(bytes, kContextLength);
      ASSERT_GE(ids.size(), 1U);
      EXPECT_LE(ids.size(), 48U);
      EXPECT_EQ(ids.back(), tokenizer->end_id());
      EXPECT_TRUE(
          std::all_of(ids.begin(), ids.end(), [&](auto id) { return id >= 0 && id < tokenizer->vocab_size(); }));
    }
  }
}

// A quadratic algorithm would need hours.
TEST(LoadTokenizer, TakesWordsAndCaptionsOfAMillionBytes) {
  for (const auto& kind : kKinds) {
    const auto tokenizer = load_tokenizer(folder_of(kind));
    for (const std::string_view part : {"a", "a ", "!", "\u6f22", "\U0001f600", "<", "  "}) {
      std::string text;
      while (text.size() < 1'000'000) text += part;
      EXPECT_EQ(tokenizer->encode(text, kContextLength).back(), tokenizer->end_id()) << kind << ": " << part;
    }
  }
}

TEST(LoadTokenizer, SaysWhichKindItDoesNotRead) {
  const TempFolder folder;
  const auto config = folder.path() / "tokenizer_config.json";
  write(config, R"({"tokenizer_class": "AlbertTokenizerFast"})");
  const auto message = message_of([&] { load_tokenizer(folder.path()); });
  EXPECT_TRUE(message.starts_with(config.string() + ": tokenizer_class AlbertTokenizer: CLIPTokenizer, GPT2Tokenizer, "
                                                    "RobertaTokenizer, BertTokenizer, "))
      << message;
  EXPECT_TRUE(message.ends_with(" are read here")) << message;
  fs::remove(config);
  const auto file = folder.path() / "tokenizer.json";
  const auto message_with = [&](const json& tokenizer) {
    write(file, tokenizer.dump());
    auto text = message_of([&] { load_tokenizer(folder.path()); });
    EXPECT_TRUE(text.starts_with(file.string() + ": ")) << text;
    return text;
  };
  EXPECT_NE(message_with({{"model", {{"type", "WordLevel"}}}}).find("model: WordLevel"), std::string::npos);
  EXPECT_NE(
      message_with({{"model", {{"type", "BPE"}}}, {"pre_tokenizer", {{"type", "Split"}}}}).find("pre_tokenizer Split"),
      std::string::npos);
  EXPECT_NE(message_with({{"model", {{"type", "WordPiece"}}}}).find("WordPiece with normalizer none"),
            std::string::npos);
  EXPECT_NE(message_with(json::object()).find("model"), std::string::npos);
}

TEST(LoadTokenizer, NamesTheFileAndTheFaultOfADamagedFolder) {
  const auto message = [](const std::string& kind, const char* file,
                          const std::function<std::string(std::string)>& change) {
    const TempFolder folder;
    copy_files(folder_of(kind), folder.path());
    write(folder.path() / file, change(read_file(folder.path() / file)));
    auto text = message_of([&] { load_tokenizer(folder.path()); });
    EXPECT_NE(text.find(std::string(file) + ": "), std::string::npos) << text;
    return text;
  };
  const auto changed_json = [](const std::function<void(json&)>& change) {
    return [change](const std::string& text) {
      auto value = json::parse(text);
      change(value);
      return value.dump();
    };
  };
  const auto half = [](const std::string& text) { return text.substr(0, text.size() / 2); };
  for (const auto* kind : {"gpt2", "bert", "siglip2"}) {
    message(kind, "tokenizer.json", half);
    message(kind, "tokenizer_config.json", half);
  }
  EXPECT_NE(message("gpt2", "tokenizer.json", changed_json([](json& t) { t["model"]["vocab"].erase("a"); }))
                .find("the ids of"),
            std::string::npos);
  EXPECT_NE(message("bert", "tokenizer.json", changed_json([](json& t) { t["model"]["vocab"]["[SEP]"] = 1; }))
                .find("the id 1 stands for both"),
            std::string::npos);
  EXPECT_NE(message("bert", "tokenizer.json", changed_json([](json& t) { t["added_tokens"][0]["single_word"] = true; }))
                .find("single_word is not read here"),
            std::string::npos);
  EXPECT_NE(message("bert", "tokenizer.json", changed_json([](json& t) { t["added_tokens"][0]["id"] = 1'000'000; }))
                .find("the added token '[PAD]' has the id 1000000; the vocabulary's go from 0 to "),
            std::string::npos);
  EXPECT_NE(message("gpt2", "tokenizer.json", changed_json([](json& t) { t["added_tokens"][0]["id"] = 1e300; }))
                .find("expected an id, a whole number, got 1e+300"),
            std::string::npos);
  const auto nested = [](const std::string&) {
    return R"({"x":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}";
  };
  EXPECT_NE(message("bert", "tokenizer.json", nested).find("values are nested more than 64 deep"), std::string::npos);
  const auto of_siglip2 = [&](const std::function<void(json&)>& change) {
    return message("siglip2", "tokenizer.json", changed_json(change));
  };
  EXPECT_NE(of_siglip2([](json& t) {
              t["normalizer"] = {{"type", "NFKC"}};
            }).find(R"(got {"type":"NFKC"})"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) {
              t["normalizer"] = {{"type", "Lowercase"}};
            }).find("is missing"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) { t["normalizer"] = nullptr; }).find("normalizer: expected"), std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) {
              t["pre_tokenizer"] = {{"type", "Metaspace"}};
            }).find("pre_tokenizer: expected"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) { t["post_processor"]["type"] = "ByteLevel"; }).find("got ByteLevel"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) { t["post_processor"] = nullptr; }).find("expected an end token"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) { t["model"]["ignore_merges"] = true; }).find("model.ignore_merges"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) {
              t["model"]["merges"][0] = json::array({"a", "none"});
            }).find("lacks 'none'"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) {
              t["model"]["vocab"]["x41"] = t["model"]["vocab"]["<0x41>"];
              t["model"]["vocab"].erase("<0x41>");
            }).find("lacks the token '<0x41>'"),
            std::string::npos);
  EXPECT_NE(of_siglip2([](json& t) { t["added_tokens"][0]["id"] = 1000; }).find("the id 1000 is another entry's"),
            std::string::npos);
#ifdef VLALIGN_SENTENCEPIECE
  message("siglip", "spiece.model", half);
  message("t5", "tokenizer.json", half);
  EXPECT_NE(message("t5", "tokenizer.json",
                    changed_json([](json& t) { t["normalizer"]["precompiled_charsmap"] = "/////w=="; }))
                .find("precompiled_charsmap"),
            std::string::npos);
#endif
}

TEST(LoadTokenizer, NamesTheLineOfAnEntryThatIsThereTwice) {
  const TempFolder folder;
  write(folder.path() / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\na\n");
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path()); }).find("vocab.txt: line 7: 'a' is in line 5 already"),
            std::string::npos);
  write(folder.path() / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\na\n");
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path()); }).find("the vocabulary lacks the token '[SEP]'"),
            std::string::npos);
}

TEST(LoadTokenizer, SaysWhichFilesAreMissing) {
  const TempFolder folder;
  const auto expected = folder.path().string() +
                        ": no tokenizer files: expected tokenizer.json, or vocab.json and merges.txt, or vocab.txt, or "
                        "spiece.model, or sentencepiece.bpe.model, in this folder";
  EXPECT_EQ(message_of([&] { load_tokenizer(folder.path()); }), expected);
  for (const auto* kind : {"BertTokenizer", "CLIPTokenizer", "T5Tokenizer", "XLMRobertaTokenizer", "GemmaTokenizer"}) {
    write(folder.path() / "tokenizer_config.json", json{{"tokenizer_class", kind}}.dump());
    EXPECT_EQ(message_of([&] { load_tokenizer(folder.path()); }), expected) << kind;
  }
}

TEST(LoadTokenizer, NamesItsFileOnce) {
  const TempFolder folder;
  const auto file = folder.path() / "tokenizer.json", words = folder.path() / "vocab.txt";
  write(file, "");
  const auto empty = message_of([&] { load_tokenizer(folder.path()); });
  EXPECT_TRUE(empty.starts_with(file.string() + ": not JSON: ")) << empty;
  EXPECT_EQ(empty.find(file.string(), 1), std::string::npos) << empty;
  EXPECT_EQ(message_of([&] { load_tokenizer(words); }), words.string() + ": cannot read: No such file or directory");
}

#ifndef VLALIGN_SENTENCEPIECE
TEST(LoadTokenizer, SaysWhatASentencePieceModelNeeds) {
  const auto message = message_of([] { load_tokenizer(kFixtures / "siglip"); });
  EXPECT_NE(message.find("install libsentencepiece-dev"), std::string::npos) << message;
}
#endif

}  // namespace
}  // namespace vlalign::load_tokenizer_test
