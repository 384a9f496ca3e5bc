// What users and files can get wrong: each comes out as an Error that names the place.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "data/tar_of.hpp"
#include "support/byte_tokenizer.hpp"
#include "support/captured_log.hpp"
#include "support/sanitized.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/word_piece_tokenizer.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/loading/episode_loader.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/image/image_view.hpp"

namespace vlalign::mistakes_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::message_of;
constexpr auto huge = std::numeric_limits<std::int64_t>::max();

const fs::path fixtures = VLALIGN_FIXTURES;

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

void write(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::binary) << text; }

class Mistakes : public testing::Test {
 protected:
  test::TempFolder temporary_;
  test::CapturedLog log_;
  const fs::path& folder() const { return temporary_.path(); }

  /// Places of this name where nothing can be read, and why.
  std::vector<std::pair<std::string, fs::path>> bad_places(const std::string& name) const {
    write(folder() / "file", "not a folder");
    const auto place = [&](const char* below) {
      fs::create_directories(folder() / below);
      return folder() / below / name;
    };
    std::vector<std::pair<std::string, fs::path>> places = {{"absent", folder() / "absent" / name},
                                                            {"through a file", folder() / "file" / name}};
    places.emplace_back("a link to itself", place("link"));
    fs::create_symlink(name, places.back().second);
    places.emplace_back("a dangling link", place("dangling"));
    fs::create_symlink("nothing", places.back().second);
    places.emplace_back("a folder", place("folder"));
    fs::create_directory(places.back().second);
    places.emplace_back("empty", place("empty"));
    write(places.back().second, "");
    places.emplace_back("in a loop of links", place("loop"));
    fs::create_directory_symlink("b", folder() / "loop/a");
    fs::create_directory_symlink("a", folder() / "loop/b");
    places.back().second = folder() / "loop/a" / name;
    places.emplace_back("of a long name", folder() / (std::string(300, 'x') + name));
    return places;
  }

  /// `open` meets each of them with an Error that names it.
  void expect_named(const std::string& name, const std::function<void(const fs::path&)>& open) {
    for (const auto& [why, place] : bad_places(name)) {
      SCOPED_TRACE(why);
      const auto message = message_of<Error>([&, &bad = place] { open(bad); });
      EXPECT_NE(message.find(place.string()), std::string::npos) << message;
    }
    for (const auto& entry : fs::directory_iterator(folder())) fs::remove_all(entry.path());
  }
};

TEST_F(Mistakes, APlaceWithoutPairsIsNamed) {
  for (const auto* name : {"a.tsv", "a.csv", "a.jsonl", "a.tar", "a.tar.gz"}) {
    SCOPED_TRACE(name);
    expect_named(name, [](const fs::path& place) { open_pairs(place.string()); });
  }
  for (const auto& [why, place] : bad_places("metadata.jsonl")) {
    SCOPED_TRACE(why);
    const auto parent = place.parent_path().string();
    EXPECT_TRUE(message_of<Error>([&] { open_pairs(parent); }).starts_with(parent));
  }
}

TEST_F(Mistakes, APlaceWithoutDemonstrationsIsNamed) {
  for (const auto* name : {"a.tar", "a.tgz", "dataset"}) {
    SCOPED_TRACE(name);
    expect_named(name, [](const fs::path& place) { open_episodes(place.string()); });
  }
}

TEST_F(Mistakes, APlaceWithoutATokenizerIsNamed) {
  for (const auto* name : {"tokenizer.json", "vocab.txt", "spiece.model", "merges.txt.gz", "model"}) {
    SCOPED_TRACE(name);
    expect_named(name, [](const fs::path& place) { load_tokenizer(place); });
  }
}

TEST_F(Mistakes, APlaceWithoutAPictureIsNamed) {
  expect_named("a.png", [](const fs::path& place) { read_image(place); });
}

TEST_F(Mistakes, APlaceToSaveATokenizerThatIsNoneIsNamed) {
  const auto tokenizer = load_tokenizer(fixtures / "tokenizers/gpt2");
  write(folder() / "file", "not a folder");
  for (const auto& place : {folder() / "file", folder() / std::string(300, 'x')}) {
    const auto message = message_of<Error>([&] { tokenizer->save(place); });
    EXPECT_NE(message.find(place.string()), std::string::npos) << message;
  }
}

TEST_F(Mistakes, AFileThatCannotBeReadToItsEndIsNoTable) {
  for (const auto* name : {"a.tsv", "a.jsonl"}) {
    fs::create_symlink("/proc/self/mem", folder() / name);  // a regular file whose first byte can't be read
    const auto message = message_of<Error>([&] { open_pairs((folder() / name).string()); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
}

/// Calls `with` on copies of a JSON value in which one value, at a depth of at most `depth`, is of another type.
void with_wrong_types(const json& whole, int depth, const std::function<void(const json&)>& with) {
  const json others[] = {nullptr, true, -1, 3, 1e300, "x", json::array(), json::object(), {{"a", 1}}, {{1, "b"}}};
  const std::function<void(const json&, const json::json_pointer&, int)> go_through =
      [&](const json& value, const json::json_pointer& at, int left) {
        for (const auto& other : others) {
          auto changed = whole;
          changed[at] = other;
          with(changed);
        }
        if (left == 0 || !value.is_structured()) return;
        int taken = 0;
        for (const auto& item : value.items()) {
          if (++taken > (value.is_array() ? 2 : 16)) break;  // of a vocabulary the first
          go_through(item.value(), value.is_array() ? at / (static_cast<std::size_t>(taken) - 1) : at / item.key(),
                     left - 1);
        }
      };
  go_through(whole, json::json_pointer(), depth);
}

/// Whatever comes out but an Error fails the test. How many there were.
int errors_of(const std::function<void()>& call) {
  try {
    call();
    return 0;
  } catch (const Error&) {
    return 1;
  }
}

TEST_F(Mistakes, ATokenizersFilesMayHoldJsonOfAnyType) {
  int errors = 0;
  for (const auto& entry : fs::directory_iterator(fixtures / "tokenizers")) {
    if (!entry.is_directory()) continue;
#ifndef VLALIGN_SENTENCEPIECE
    if (entry.path().filename() == "siglip") continue;
#endif
    SCOPED_TRACE(entry.path().string());
    const auto copy = folder() / entry.path().filename();
    fs::copy(entry.path(), copy);
    for (const auto* name : {"tokenizer.json", "tokenizer_config.json"}) {
      if (!fs::exists(copy / name)) continue;
      const auto text = text_of(copy / name);
      with_wrong_types(json::parse(text), name == std::string("tokenizer.json") ? 3 : 2, [&](const json& changed) {
        write(copy / name, changed.dump());
        errors += errors_of([&] { load_tokenizer(copy)->encode("a caption", 16); });
      });
      write(copy / name, text);
    }
    EXPECT_EQ(errors_of([&] { load_tokenizer(copy); }), 0);
  }
  EXPECT_GT(errors, 200);
}

TEST_F(Mistakes, TablesAndShardsMayHoldJsonOfAnyType) {
  const json row{{"file_name", "1.png"}, {"text", {"one", "two"}}};
  write(folder() / "1.png", "");
  int errors = 0;
  with_wrong_types(row, 2, [&](const json& changed) {
    write(folder() / "metadata.jsonl", changed.dump() + "\n");
    errors += errors_of([&] { open_pairs(folder().string()); });
  });
  EXPECT_GT(errors, 10);

  const json step{{"episode", "1"}, {"step", 0},     {"instruction", {"go"}},
                  {"state", {0.5}}, {"action", {1}}, {"caption", {"a"}}};
  for (const bool episodes : {false, true}) {
    errors = 0;
    with_wrong_types(step, 2, [&](const json& changed) {
      write(folder() / "a.tar", test::tar_of({{"0.png", "x"}, {"0.json", changed.dump()}}));
      const auto location = (folder() / "a.tar").string();
      errors += errors_of([&] { episodes ? void(open_episodes(location)) : void(open_pairs(location)); });
    });
    EXPECT_GT(errors, 10);
  }
}

#ifdef VLALIGN_LEROBOT
TEST_F(Mistakes, ALerobotDatasetMayHoldJsonOfAnyType) {
  for (const auto* version : {"v21", "v30"}) {
    SCOPED_TRACE(version);
    const auto copy = folder() / version;
    fs::copy(fixtures / "lerobot" / version, copy, fs::copy_options::recursive);
    int errors = 0;
    with_wrong_types(json::parse(text_of(copy / "meta/info.json")), 3, [&](const json& changed) {
      write(copy / "meta/info.json", changed.dump());
      errors += errors_of([&] { open_episodes(copy.string()); });
    });
    EXPECT_GT(errors, 20);
  }
}

TEST_F(Mistakes, ALerobotDatasetsPathsMayNotGrowWithoutEnd) {
  const auto copy = folder() / "v30";
  fs::copy(fixtures / "lerobot/v30", copy, fs::copy_options::recursive);
  const auto info = json::parse(text_of(copy / "meta/info.json"));
  for (const auto* path : {"{chunk_index:2000000000d}", "{chunk_index:{file_index}}", "{file_index:.999999999}"}) {
    auto changed = info;
    changed["video_path"] = path;
    write(copy / "meta/info.json", changed.dump());
    const auto message = message_of<Error>([&] { open_episodes(copy.string()); });
    EXPECT_NE(message.find("cannot fill in"), std::string::npos) << message;
  }
}
#endif

TEST_F(Mistakes, TextThatIsNoUtf8IsSavedInNoJson) {
  const std::string bad = "\xff\xfe";
  const WordPieceTokenizer tokenizer({"[PAD]", "[UNK]", "[CLS]", "[SEP]", bad},
                                     {.added_tokens = {{.text = bad, .id = 4}}});
  const auto message = message_of<Error>([&] { tokenizer.save(folder()); });
  EXPECT_TRUE(message.starts_with((folder() / "tokenizer_config.json").string() + ": ")) << message;
}

TEST_F(Mistakes, ATokenizerOfNoSuchJsonIsAnError) {
  const auto file = folder() / "tokenizer.json";
  for (const auto* text : {"", "[]", "3", "{}", R"({"model": 3})", R"({"model": {"vocab": {}, "type": "Unigram"}})",
                           R"({"model": {"vocab": [], "unk_id": 0, "type": "Unigram"}})",
                           R"({"model": {"vocab": [["a"]], "unk_id": 0, "type": "Unigram"}})",
                           R"({"model": {"vocab": {"a": 1.5}, "type": "BPE"}})"}) {
    std::ofstream(file) << text;
    message_of<Error>([&] { load_tokenizer(file); });
  }
}

class OnePair : public PairSource {
 public:
  std::int64_t size() const override { return 2; }
  std::string name(std::int64_t) const override { return "one"; }
  std::vector<std::string> captions(std::int64_t) const override { return {"a"}; }
  Pair read(std::int64_t) const override { return {"one", {"a"}, encode_png({1, 1, {1, 2, 3}})}; }
};

TEST_F(Mistakes, ALoadersOptionsOutOfRangeAreNamed) {
  const auto tokenizer = std::make_shared<test::ByteTokenizer>();
  const auto refusal = [&](const LoaderOptions& options, const Preprocess& how = {.image_size = 4}) {
    return message_of<Error>([&] { Loader(std::make_shared<OnePair>(), tokenizer, 8, how, options); });
  };
  EXPECT_EQ(refusal({.batch_size = 2, .threads = std::numeric_limits<int>::max()}),
            "[Loader] threads: expected at most 1024, got 2147483647");
  EXPECT_EQ(refusal({.batch_size = 2, .prefetch = std::numeric_limits<int>::max()}),
            "[Loader] prefetch: expected at most 1024, got 2147483647");
  EXPECT_NE(refusal({.batch_size = 2, .cache_mb = huge}).find("[Loader] cache_mb: expected at most"),
            std::string::npos);
  EXPECT_NE(refusal({.batch_size = huge}).find("batch size 9223372036854775807 is larger"), std::string::npos);
  EXPECT_NE(refusal({.batch_size = -1}).find("batch_size"), std::string::npos);
  EXPECT_NE(refusal({.batch_size = 2, .max_bad = std::nan("")}).find("max_bad"), std::string::npos);
  EXPECT_NE(refusal({.batch_size = 2}, {.image_size = 1 << 30}).find("image_size"), std::string::npos);
  EXPECT_NE(refusal({.batch_size = 2}, {.image_size = -1}).find("image_size"), std::string::npos);
  Loader loader(std::make_shared<OnePair>(), tokenizer, huge, {.image_size = 4}, {.batch_size = 2});
  EXPECT_NE(message_of<Error>([&] { loader.seek(huge); }).find("[Loader::seek] number"), std::string::npos);
  EXPECT_NE(message_of<Error>([&] { Loader(nullptr, tokenizer, 8, {}, {}); }).find("[Loader] source"),
            std::string::npos);
  EXPECT_NE(message_of<Error>([&] {
              Loader(std::make_shared<OnePair>(), nullptr, 8, {}, {.batch_size = 2});
            }).find("[Loader] tokenizer"),
            std::string::npos);
}

TEST_F(Mistakes, ABatchThatNoMemoryHoldsIsAnErrorOfNext) {
  if (test::is_sanitized()) GTEST_SKIP() << "sanitizers refuse the flag that keeps the modules' names apart";
  class Many : public OnePair {
    std::int64_t size() const override { return 1 << 20; }
  };
  Loader loader(std::make_shared<Many>(), std::make_shared<test::ByteTokenizer>(), 8, {.image_size = 2048},
                {.batch_size = 1 << 20, .shuffle = false});  // 12 terabytes
  EXPECT_TRUE(message_of<Error>([&] { loader.next(); }).starts_with("[Loader] "));
}

class GivenEpisode : public EpisodeSource {
 public:
  explicit GivenEpisode(Episode episode) : episode_(std::move(episode)) {}
  std::int64_t size() const override { return 1; }
  const Episode& episode(std::int64_t) const override { return episode_; }
  Image frame(std::int64_t, std::int64_t, PixelsAs) const override { return {1, 1, {1, 2, 3}}; }

 private:
  Episode episode_;
};

TEST_F(Mistakes, AnEpisodeOfAnotherFormThanPromisedIsNamed) {
  const auto tokenizer = std::make_shared<test::ByteTokenizer>();
  const auto refusal = [&](Episode episode, EpisodeLoaderOptions options = {.batch_size = 1}) {
    return message_of<Error>([&] {
      EpisodeLoader(std::make_shared<GivenEpisode>(std::move(episode)), tokenizer, 8, {.image_size = 4}, options);
    });
  };
  const auto numbers = [](at::IntArrayRef shape, at::ScalarType type = at::kFloat) { return at::zeros(shape, type); };
  const std::string form =
      "[EpisodeLoader] episode 0: expected states [T, S] and actions [T, A] in float32, on the CPU";
  EXPECT_EQ(refusal({"e", {"go"}, at::Tensor(), numbers({3, 2})}), form);
  EXPECT_EQ(refusal({"e", {"go"}, numbers({3, 2}), at::Tensor()}), form);
  EXPECT_EQ(refusal({"e", {"go"}, numbers({3, 2}), numbers({3})}), form);
  EXPECT_EQ(refusal({"e", {"go"}, numbers({2, 2}), numbers({3, 2})}), form);
  EXPECT_EQ(refusal({"e", {"go"}, numbers({3, 2}), numbers({3, 2}, at::kDouble)}), form);
  EXPECT_EQ(refusal({"e", {}, numbers({3, 2}), numbers({3, 2})}),
            "[EpisodeLoader] episode 0: expected an instruction, got none");
  EXPECT_EQ(refusal({"e", {"go"}, numbers({3, 2}), numbers({3, 2})}, {.batch_size = 1, .horizon = huge}),
            "[EpisodeLoader] horizon: expected at most 1048576, got 9223372036854775807");
  EXPECT_EQ(message_of<Error>([&] { EpisodeLoader(nullptr, tokenizer, 8, {}, {}); }),
            "[EpisodeLoader] source: expected episodes, got none");
}

TEST_F(Mistakes, AViewOfNoMemoryIsAnError) {
  const std::span<const std::uint8_t> nothing(static_cast<const std::uint8_t*>(nullptr), 12);
  EXPECT_NE(message_of<Error>([&] { ImageView(nothing, 2, 2, ImageView::Format::rgb); }).find("null pointer"),
            std::string::npos);
}

}  // namespace
}  // namespace vlalign::mistakes_test
