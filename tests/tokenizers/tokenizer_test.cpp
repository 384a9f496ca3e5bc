#include "vlalign/tokenizers/tokenizer.hpp"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::tokenizer_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::TempFolder;
using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kContextLength = 77;
const fs::path kFixtures = fs::path(VLALIGN_FIXTURES) / "tokenizer";

std::string message_of(const std::function<void()>& call) { return test::message_of<Error>(call); }

fs::path clip_vocabulary() {
#ifdef VLALIGN_VOCAB
  return VLALIGN_VOCAB;
#else
  return share_folder() / "bpe_simple_vocab_16e6.txt.gz";
#endif
}

std::shared_ptr<const Tokenizer> small_tokenizer() { return load_tokenizer(kFixtures / "small_vocab.txt.gz"); }

json read_json(const fs::path& file) { return json::parse(read_file(file)); }

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

struct Caption {
  std::string text;
  Ids clip;                         // open_clip's, with CLIP's vocabulary
  Ids small;                        // open_clip's, with the small one
  std::optional<Ids> hugging_face;  // transformers', with the small one
};

std::vector<Caption> captions() {
  std::vector<Caption> result;
  for (const auto& entry : read_json(kFixtures / "captions.json")) {
    const auto text = entry.contains("text") ? entry.at("text").get<std::string>() : from_hex(entry.at("bytes"));
    result.push_back({text, entry.at("clip"), entry.at("small"), std::nullopt});
    if (entry.contains("hugging_face")) result.back().hugging_face = entry.at("hugging_face").get<Ids>();
  }
  return result;
}

std::string random_bytes(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

void write(const fs::path& file, std::string_view contents) {
  std::ofstream(file, std::ios::binary).write(contents.data(), static_cast<std::streamsize>(contents.size()));
}

TEST(Tokenizer, GivesTheIdsOfOpenClipOnHardCaptions) {
  if (!fs::exists(clip_vocabulary())) GTEST_SKIP() << "CLIP's vocabulary isn't at " << clip_vocabulary();
  const auto tokenizer = load_tokenizer(clip_vocabulary());
  EXPECT_EQ(tokenizer->vocab_size(), 49408);
  EXPECT_EQ(tokenizer->end_id(), 49407);
  EXPECT_EQ(tokenizer->pad_id(), 0);
  for (const auto& caption : captions()) {
    EXPECT_EQ(tokenizer->encode(caption.text, kContextLength), caption.clip) << caption.text;
  }
}

TEST(Tokenizer, GivesTheIdsOfOpenClipWithASmallVocabulary) {
  const auto tokenizer = small_tokenizer();
  EXPECT_EQ(tokenizer->vocab_size(), 914);
  for (const auto& caption : captions()) {
    EXPECT_EQ(tokenizer->encode(caption.text, kContextLength), caption.small) << caption.text;
  }
}

TEST(Tokenizer, ReadsHuggingFaceFilesInEveryForm) {
  for (const auto* name : {"tokenizer.json", "tokenizer_with_joined_merges.json", "hugging_face"}) {
    const auto tokenizer = load_tokenizer(kFixtures / name);
    int compared = 0;
    for (const auto& caption : captions()) {
      if (!caption.hugging_face) continue;
      EXPECT_EQ(tokenizer->encode(caption.text, kContextLength), *caption.hugging_face) << name << ": " << caption.text;
      ++compared;
    }
    EXPECT_GE(compared, 10);
  }
}

TEST(Tokenizer, PrefersTheTokenizerJsonOfAFolder) {
  const TempFolder folder;
  fs::copy(kFixtures / "tokenizer.json", folder.path() / "tokenizer.json");
  write(folder.path() / "vocab.json", "{}");
  write(folder.path() / "merges.txt", "#version: 0.2\n");
  EXPECT_EQ(load_tokenizer(folder.path())->vocab_size(), 914);
}

TEST(Tokenizer, KeepsTheEndTokenLastWhenCut) {
  const auto tokenizer = small_tokenizer();
  const auto cut = read_json(kFixtures / "cut.json");
  ASSERT_EQ(cut.at("small").size(), 39U);
  for (const auto& [length, ids] : cut.at("small").items()) {
    EXPECT_EQ(tokenizer->encode(cut.at("text").get<std::string>(), std::stoll(length)), ids.get<Ids>()) << length;
  }
}

TEST(Tokenizer, PadsABatchToItsLongestCaption) {
  const auto tokenizer = small_tokenizer();
  const std::vector<std::string> batch{"!", "two cats", ""};
  std::vector<Ids> rows;
  for (const auto& text : batch) rows.push_back(tokenizer->encode(text, kContextLength));
  const auto longest = static_cast<std::int64_t>(rows[1].size());
  ASSERT_GT(longest, 3);

  const auto tokens = tokenize(*tokenizer, batch, kContextLength);
  ASSERT_EQ(tokens.sizes(), at::IntArrayRef({3, longest}));
  ASSERT_EQ(tokens.scalar_type(), at::kLong);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].resize(static_cast<std::size_t>(longest), 0);
    EXPECT_TRUE(tokens[static_cast<std::int64_t>(i)].equal(at::tensor(rows[i], at::kLong))) << batch[i];
  }
  EXPECT_EQ(tokenize(*tokenizer, batch, 3).size(1), 3);
  EXPECT_EQ(tokenize(*tokenizer, {}, kContextLength).size(0), 0);
}

TEST(Tokenizer, DecodesTheWordsItEncoded) {
  const auto tokenizer = small_tokenizer();
  const auto decoded = [&](const std::string& text) {
    return tokenizer->decode(tokenizer->encode(text, kContextLength));
  };
  EXPECT_EQ(decoded(" A photo of\ttwo cats "), "a photo of two cats");
  EXPECT_EQ(decoded("the dog's 12"), "the dog 's 1 2");
  EXPECT_EQ(decoded("漢字 \u03a3\u03a3 \u0928\u092e"), "漢字 \u03c3\u03c2 \u0928\u092e");
  EXPECT_EQ(decoded(""), "");
}

TEST(Tokenizer, DecodesUpToTheEndTokenAndMarksBrokenCharacters) {
  const auto tokenizer = small_tokenizer();
  auto ids = tokenizer->encode("cats", kContextLength);
  ids.insert(ids.end(), {0, 0, 0});
  EXPECT_EQ(tokenizer->decode(ids), "cats");
  const auto vocabulary = read_json(kFixtures / "hugging_face" / "vocab.json");
  const Ids half{vocabulary.at("Ã"), vocabulary.at("a</w>")};  // byte C3 lacks its second half
  EXPECT_EQ(tokenizer->decode(half), "\uFFFDa");
  EXPECT_EQ(message_of([&] { tokenizer->decode(Ids{914}); }), "[ClipTokenizer.decode] ids: expected 0 to 913, got 914");
  EXPECT_EQ(message_of([&] { tokenizer->decode(Ids{-1}); }), "[ClipTokenizer.decode] ids: expected 0 to 913, got -1");
}

TEST(Tokenizer, WritesTheFilesOfHuggingFace) {
  const TempFolder folder;
  small_tokenizer()->save(folder.path());
  EXPECT_EQ(read_json(folder.path() / "vocab.json"), read_json(kFixtures / "hugging_face" / "vocab.json"));
  EXPECT_EQ(read_file(folder.path() / "merges.txt"), read_file(kFixtures / "hugging_face" / "merges.txt"));
}

TEST(Tokenizer, ReadsAllOfALargeVocabularyAndOfClipsFileOnlyWhatClipUses) {
  const auto entry = [](int i) { return std::string(1, static_cast<char>('!' + i)); };
  std::vector<ClipTokenizer::Merge> merges;
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 60; ++j) merges.emplace_back(entry(i), entry(j));
  }
  for (int i = 0; merges.size() < 50'000; ++i) {
    const auto& [left, right] = merges[static_cast<std::size_t>(i / 60)];
    merges.emplace_back(left + right, entry(i % 60));
  }
  const TempFolder folder;
  ClipTokenizer(merges).save(folder.path());
  EXPECT_EQ(load_tokenizer(folder.path())->vocab_size(), 512 + 50'000 + 2);
  EXPECT_EQ(load_tokenizer(folder.path() / "merges.txt")->vocab_size(), 49'408);
}

TEST(Tokenizer, TakesTheIdsOfAVocabularyInAnotherOrder) {
  const TempFolder folder;
  auto vocabulary = read_json(kFixtures / "hugging_face" / "vocab.json");
  const auto reversed = [](std::int64_t id) { return 913 - id; };
  for (auto& [entry, id] : vocabulary.items()) id = reversed(id);
  write(folder.path() / "vocab.json", vocabulary.dump());
  write(folder.path() / "open_clip_config.json", "{}");
  fs::copy(kFixtures / "hugging_face" / "merges.txt", folder.path() / "merges.txt");

  const auto tokenizer = load_tokenizer(folder.path());
  const TempFolder saved;
  tokenizer->save(saved.path());
  const auto again = load_tokenizer(saved.path());
  EXPECT_EQ(tokenizer->end_id(), 0);
  for (const auto& caption : captions()) {
    auto expected = caption.small;
    std::transform(expected.begin(), expected.end(), expected.begin(), reversed);
    EXPECT_EQ(tokenizer->encode(caption.text, kContextLength), expected) << caption.text;
    EXPECT_EQ(again->encode(caption.text, kContextLength), expected) << caption.text;
  }
  EXPECT_EQ(again->decode(again->encode("two cats", kContextLength)), "two cats");
}

TEST(Tokenizer, GivesTheSameIdsFromSeveralThreads) {
  const auto all = captions();
  const auto small = small_tokenizer();
  const ClipTokenizer bytes_only(std::vector<ClipTokenizer::Merge>{});
  std::vector<Ids> expected_bytes;
  for (const auto& caption : all) expected_bytes.push_back(bytes_only.encode(caption.text, kContextLength));
  std::vector<int> wrong(4);
  std::vector<std::thread> threads;
  for (auto& count : wrong) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; i < all.size(); ++i) {
        count += small->encode(all[i].text, kContextLength) != all[i].small;
        count += bytes_only.encode(all[i].text, kContextLength) != expected_bytes[i];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(Tokenizer, WithoutMergesGivesOneIdAByte) {
  const ClipTokenizer tokenizer(std::vector<ClipTokenizer::Merge>{});
  // '!' to '~' are 0 to 93; at the end of a word 256 is added.
  EXPECT_EQ(tokenizer.encode("Ab!", kContextLength), (Ids{512, 'a' - '!', 256 + 'b' - '!', 256, 513}));
  EXPECT_EQ(tokenizer.vocab_size(), 514);
}

TEST(Tokenizer, GivesAResultReachedTwiceOneEntry) {
  const std::vector<ClipTokenizer::Merge> merges{{"a", "b"}, {"b", "c"}, {"ab", "c"}, {"a", "bc"}};
  const ClipTokenizer tokenizer(merges);
  EXPECT_EQ(tokenizer.vocab_size(), 512 + 3 + 2);
}

TEST(Tokenizer, RefusesAContextWithoutRoomForAToken) {
  EXPECT_EQ(message_of([] { small_tokenizer()->encode("cat", 0); }),
            "[ClipTokenizer.encode] context_length: expected at least 1, got 0");
}

TEST(Tokenizer, NamesTheFileAndTheFaultOfABadMergesFile) {
  const TempFolder folder;
  const auto file = folder.path() / "merges.txt";
  const auto message = [&](std::string_view contents) {
    write(file, contents);
    auto text = message_of([&] { load_tokenizer(file); });
    EXPECT_TRUE(text.starts_with(file.string() + ": ")) << text;
    return text.substr(std::min(text.size(), file.string().size() + 2));
  };
  EXPECT_EQ(message(""), "the file is empty");
  EXPECT_EQ(message("a b\n"), "line 1: expected '#version', got 'a b'");
  EXPECT_EQ(message("#version: 0.2\na b\nab\n"), "line 3: expected two symbols with a space between them, got 'ab'");
  EXPECT_EQ(message("#version: 0.2\na b c\n"), "line 2: expected two symbols with a space between them, got 'a b c'");
  EXPECT_EQ(message("#version: 0.2\na b\nb cd\n"),
            "merge 2 ('b' with 'cd'): 'cd' is neither a byte nor the result of an earlier merge");
  EXPECT_NE(message("\x1F\x8B damaged").find("damaged or cut gzip data"), std::string::npos);
  EXPECT_NE(message_of([&] { load_tokenizer(folder.path() / "none.txt"); }).find("none.txt"), std::string::npos);
  EXPECT_NE(
      message_of([&] { load_tokenizer(folder.path()); }).find("expected tokenizer.json, or vocab.json and merges.txt"),
      std::string::npos);
}

TEST(Tokenizer, NamesTheFaultOfABadVocabulary) {
  const TempFolder folder;
  fs::copy(kFixtures / "hugging_face" / "merges.txt", folder.path() / "merges.txt");
  const auto good = read_json(kFixtures / "hugging_face" / "vocab.json");
  const auto message = [&](const std::string& contents) {
    write(folder.path() / "vocab.json", contents);
    auto text = message_of([&] { load_tokenizer(folder.path()); });
    EXPECT_NE(text.find("vocab.json: "), std::string::npos) << text;
    return text;
  };
  const auto message_with = [&](const std::string& entry, const json& id) {
    auto vocabulary = good;
    vocabulary[entry] = id;
    return message(vocabulary.dump());
  };
  EXPECT_NE(message_with("!", 5).find("the id 5 stands for both"), std::string::npos);
  EXPECT_NE(message_with("!", -1).find("'!' has the id -1; the ids of 914 entries go from 0 to 913"),
            std::string::npos);
  EXPECT_NE(message_with("!", 914).find("'!' has the id 914"), std::string::npos);
  for (const json& id : {json("x"), json(0.5), json(1e300), json(true)})
    EXPECT_NE(message_with("!", id).find("expected an id, a whole number, got " + id.dump()), std::string::npos);
  auto lacking = good;
  lacking["something else"] = lacking.at("a</w>");
  lacking.erase("a</w>");
  EXPECT_NE(message(lacking.dump()).find("the vocabulary lacks 'a</w>', which the merges need"), std::string::npos);
  lacking = good;
  lacking["something else"] = lacking.at("<|endoftext|>");
  lacking.erase("<|endoftext|>");
  EXPECT_NE(message(lacking.dump()).find("the vocabulary lacks '<|endoftext|>'"), std::string::npos);
  message("[]");
  message("{\"a\": ");
  message("");
}

TEST(Tokenizer, RefusesATokenizerJsonOfAnotherKind) {
  const TempFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  const auto good = read_json(kFixtures / "tokenizer.json");
  const auto message_with = [&](const char* key, const json& value) {
    auto changed = good;
    changed.at("model")[key] = value;
    write(file, changed.dump());
    return message_of([&] { load_tokenizer(file); });
  };
  EXPECT_NE(message_with("type", "Unigram").find("tokenizer.json"), std::string::npos);
  EXPECT_NE(message_with("end_of_word_suffix", nullptr).find("pre_tokenizer Sequence"), std::string::npos);
  EXPECT_NE(message_with("merges", json::array({json::array({"a"})})).find("tokenizer.json"), std::string::npos);
  EXPECT_NE(message_with("merges", json::array({1})).find("tokenizer.json"), std::string::npos);
  EXPECT_NE(message_with("merges", "a b").find("tokenizer.json"), std::string::npos);
  EXPECT_NE(message_with("vocab", 7).find("tokenizer.json"), std::string::npos);
  write(file, "{}");
  EXPECT_NE(message_of([&] { load_tokenizer(file); }).find("tokenizer.json"), std::string::npos);
}

TEST(Tokenizer, RefusesAVocabularyCutAnywhere) {
  const TempFolder folder;
  const auto packed = read_file(kFixtures / "small_vocab.txt.gz");
  for (std::size_t size = 2; size < packed.size(); size += 7) {
    write(folder.path() / "cut.gz", packed.substr(0, size));
    EXPECT_THROW(load_tokenizer(folder.path() / "cut.gz"), Error) << size;
  }
  write(folder.path() / "longer.gz", packed + "x");
  EXPECT_THROW(load_tokenizer(folder.path() / "longer.gz"), Error);
  const auto text = read_file(kFixtures / "tokenizer.json");
  for (std::size_t size = 0; size + 2 < text.size(); size += 199) {
    write(folder.path() / "cut.json", text.substr(0, size));
    EXPECT_THROW(load_tokenizer(folder.path() / "cut.json"), Error) << size;
  }
}

TEST(Tokenizer, ReportsRandomBytesInAVocabularyAsAnError) {
  std::mt19937 random(0);
  const TempFolder folder;
  const auto packed = read_file(kFixtures / "small_vocab.txt.gz");
  const auto json_text = read_file(kFixtures / "tokenizer.json");
  const auto load = [&](const char* name, const std::string& contents) {
    write(folder.path() / name, contents);
    try {
      load_tokenizer(folder.path() / name)->encode("a cat", kContextLength);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  for (int i = 0; i < 100; ++i) {
    write(folder.path() / "noise.txt", random_bytes(random, random() % 300));
    EXPECT_THROW(load_tokenizer(folder.path() / "noise.txt"), Error);
    write(folder.path() / "noise.json", random_bytes(random, random() % 300));
    EXPECT_THROW(load_tokenizer(folder.path() / "noise.json"), Error);
  }
  for (int i = 0; i < 100; ++i) {
    auto damaged = packed;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    load("damaged.gz", damaged);
    auto damaged_json = json_text;
    damaged_json[random() % damaged_json.size()] = static_cast<char>(random());
    load("damaged.json", damaged_json);
  }
}

TEST(Tokenizer, TakesAnyBytesAsACaption) {
  std::mt19937 random(0);
  const auto tokenizer = small_tokenizer();
  const auto start = tokenizer->vocab_size() - 2;
  for (int i = 0; i < 2000; ++i) {
    const auto ids = tokenizer->encode(random_bytes(random, random() % 200), kContextLength);
    ASSERT_GE(ids.size(), 2U);
    ASSERT_LE(ids.size(), 77U);
    EXPECT_EQ(ids.front(), start);
    EXPECT_EQ(ids.back(), tokenizer->end_id());
    EXPECT_TRUE(std::all_of(ids.begin(), ids.end(), [&](auto id) { return id >= 0 && id < tokenizer->vocab_size(); }));
  }
}

}  // namespace
}  // namespace vlalign::tokenizer_test
