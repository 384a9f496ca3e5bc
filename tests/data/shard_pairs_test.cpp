#include <atomic>
#include <optional>
#include <random>
#include <thread>

#include "data/pairs_fixture.hpp"
#include "data/sources/brace_expand.hpp"
#include "data/tar_of.hpp"

namespace vlalign::test::shard_pairs_test {
namespace {

void expect_records(const PairSource& pairs, const json& records, const std::string& shard) {
  ASSERT_EQ(pairs.size(), static_cast<std::int64_t>(records.size()));
  for (std::int64_t i = 0; i < pairs.size(); ++i) {
    const auto& record = records[static_cast<std::size_t>(i)];
    const auto pair = pairs.read(i);
    EXPECT_EQ(pair.name, shard + ":" + std::string(record["key"]));
    EXPECT_EQ(pairs.name(i), pair.name);
    EXPECT_EQ(pair.captions, Captions(record["captions"]));
    EXPECT_EQ(pairs.captions(i), pair.captions);
    EXPECT_EQ(hex_of(pair.image), std::string(record["image"]));
  }
}

TEST_F(Pairs, ReadsShardsAsWebdatasetDoes) {
  const auto shards = read_json(fixtures / "shards.json");
  for (const auto& [name, records] : shards.items()) {
    SCOPED_TRACE(name);
    const auto shard = (fixtures / name).string();
    expect_records(*open_pairs(shard), records, shard);
  }
  EXPECT_EQ(log_.text(), "");
}

TEST_F(Pairs, ReadsTheShardsOfABraceRangeInTheirOrder) {
  const auto expected = read_json(fixtures / "shards.json");
  const auto pairs = open_pairs((fixtures / "web-{001..000}.tar").string());
  const auto first = static_cast<std::int64_t>(expected["web-001.tar"].size());
  ASSERT_EQ(pairs->size(), 2 * first);
  for (std::int64_t i = 0; i < 2 * first; ++i) {
    const auto& record = expected[i < first ? "web-001.tar" : "web-000.tar"][static_cast<std::size_t>(i % first)];
    EXPECT_EQ(hex_of(pairs->read(i).image), std::string(record["image"]));
  }
  EXPECT_HAS(error_at((fixtures / "web-{000..003}.tar").string()), "web-002.tar: no such file");
  EXPECT_HAS(error_at((fixtures / "{web-000.tar,shards.json}").string()), "shards.json: is no index of shards");
  EXPECT_HAS(error_at(write("a.txt", "no data") + "::" + (fixtures / "web-000.tar").string()),
             "a.txt: expected a .tsv, .csv or");
}

TEST_F(Pairs, ExpandsBracesAsBraceexpandDoes) {
  const auto patterns = read_json(fixtures / "braces.json");
  for (const auto& [pattern, names] : patterns.items()) {
    EXPECT_EQ(brace_expand(pattern), std::vector<std::string>(names)) << pattern;
  }
  EXPECT_THROW(brace_expand("a-{000..031.tar"), Error);
  EXPECT_THROW(brace_expand("{0..9999999}"), Error);
  EXPECT_THROW(brace_expand("{0..9999}{0..9999}"), Error);
  EXPECT_THROW(brace_expand(std::string(100'000, '{')), Error);
  EXPECT_THROW(brace_expand(std::string(100'000, '{') + std::string(100'000, '}')), Error);
}

TEST_F(Pairs, OpensAFileWhoseOwnNameHasBraces) {
  const auto shard = write("{0..1}.tar", tar_of({{"a.jpg", "x"}, {"a.txt", "word"}}));
  EXPECT_EQ(open_pairs(shard)->size(), 1);
}

TEST_F(Pairs, FindsAPicturesCaptionAnywhereInTheShard) {
  const auto pairs =
      open_pairs(write("a.tar", tar_of({{"b.png", "B"}, {"a.JPG", "A"}, {"a.txt", "of a"}, {"b.txt", "of b\n"}})));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(text_of(pairs->read(0).image), "B");
  EXPECT_EQ(pairs->captions(0), Captions{"of b"});
  EXPECT_EQ(text_of(pairs->read(1).image), "A");
  EXPECT_EQ(pairs->captions(1), Captions{"of a"});
}

TEST_F(Pairs, StartsANewRecordWhenAKeyComesAgain) {
  const auto pairs =
      open_pairs(write("a.tar", tar_of({{"a.jpg", "1"}, {"a.txt", "first"}, {"a.jpg", "2"}, {"a.txt", "second"}})));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(text_of(pairs->read(1).image), "2");
  EXPECT_EQ(pairs->captions(1), Captions{"second"});
}

TEST_F(Pairs, PrefersTheFormatsInWebdatasetsOrder) {
  const auto pairs = open_pairs(write("a.tar", tar_of({{"a.webp", "W"}, {"a.png", "P"}, {"a.txt", "word"}})));
  ASSERT_EQ(pairs->size(), 1);
  EXPECT_EQ(text_of(pairs->read(0).image), "P");
}

TEST_F(Pairs, KnowTheSeldomEndingsOfAJpegToo) {
  const auto pairs = open_pairs(
      write("a.tar", tar_of({{"a.jfif", "1"}, {"a.txt", "a"}, {"b.JPE", "2"}, {"b.txt", "b"}, {"b.webp", "3"}})));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(text_of(pairs->read(0).image), "1");
  EXPECT_EQ(text_of(pairs->read(1).image), "3");
}

TEST_F(Pairs, TakesTheCaptionFromJsonWhenTheTextIsBlank) {
  const auto pairs =
      open_pairs(write("a.tar", tar_of({{"a.jpg", "A"}, {"a.txt", " \n"}, {"a.json", R"({"caption": "from json"})"}})));
  EXPECT_EQ(pairs->captions(0), Captions{"from json"});
}

TEST_F(Pairs, CountsIncompleteRecordsAsBad) {
  const auto pairs = open_pairs(write("a.tar", tar_of({{"1.jpg", "A"},
                                                       {"2.jpg", "B"},
                                                       {"2.txt", "word"},
                                                       {"3.txt", "no picture"},
                                                       {"4.jpg", "D"},
                                                       {"4.txt", "\n"},
                                                       {"5.jpg", "E"},
                                                       {"5.json", "{\"caption\": null}"},
                                                       {"._2.jpg", "no record"},
                                                       {"README", "nor this"}})));
  ASSERT_EQ(pairs->size(), 1);
  EXPECT_EQ(text_of(pairs->read(0).image), "B");
  const auto shard = (folder_ / "a.tar").string();
  EXPECT_EQ(pairs->bad_records(),
            (std::vector{shard + ":1: has no caption, a .txt or .json",
                         shard + ":3: has no picture, a .jpg, .png, .jpeg or .webp", shard + ":4: its caption is empty",
                         shard + ":5.json: \"caption\" is empty"}));
  EXPECT_EQ(log_.count("a record is skipped: "), 4);
}

TEST_F(Pairs, CountsRecordsWithFaultyTextsAsBad) {
  const auto pairs = open_pairs(write("a.tar", tar_of({{"1.png", "A"},
                                                       {"1.json", R"({"caption": NaN})"},
                                                       {"2.png", "B"},
                                                       {"2.json", R"({"caption": "b", "score": NaN})"},
                                                       {"3.png", "C"},
                                                       {"3.json", "{"},
                                                       {"4.png", "D"},
                                                       {"4.txt", "caf\xe9"},
                                                       {"5.png", "E"},
                                                       {"5.txt", "\xef\xbb\xbf of e\r\n"},
                                                       {"6.png", "F"},
                                                       {"6.json", R"({"caption": ["\udc00"]})"}})));
  EXPECT_EQ(all_captions(pairs), (Captions{"b", "of e"}));
  const auto bad = pairs->bad_records();
  ASSERT_EQ(bad.size(), 4U);
  EXPECT_HAS(bad[0], "a.tar:1.json: \"caption\" must be a string or a list of strings, NaN is none");
  EXPECT_HAS(bad[1], "a.tar:3.json: not JSON");
  EXPECT_HAS(bad[2], "a.tar:4.txt: is not UTF-8");
  EXPECT_HAS(bad[3], "a.tar:6.json: \"caption\"");
}

TEST_F(Pairs, RefusesShardsOfWhichTooMuchIsBad) {
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < 100; ++i)
    members.insert(members.end(),
                   {{fmt::format("{}.png", i), "x"}, {fmt::format("{}.txt", i), i % 10 == 3 ? "" : "a"}});
  EXPECT_HAS(error_of("a.tar", tar_of(members)), "a.tar: 10 of 100 records could not be read");
  EXPECT_EQ(open_pairs((folder_ / "a.tar").string(), {.max_bad = 0.1})->size(), 90);
}

TEST_F(Pairs, RefusesShardsWithoutAWholeRecord) {
  EXPECT_HAS(error_of("a.tar", tar_of({{"1.jpg", "A"}, {"2.txt", "word"}})), "a.tar: no pairs in it");
  EXPECT_HAS(error_of("a.tar", tar_of({})), "a.tar: no pairs in it");
  EXPECT_HAS(error_of("a.tar", ""), "a.tar: is empty");
  EXPECT_HAS(error_of("a.tar", "no tar file at all"), "a.tar: is not a whole tar file");
  EXPECT_HAS(error_of("a.tar", tar_of({{"1.jpg", "A"}, {"1.json", "{"}})), "a.tar:1.json: not JSON");
  EXPECT_HAS(error_of("a.tar", tar_of({{"1.jpg", "A"}, {"1.json", "{\"caption\": 3}"}})), "must be a string or a list");
}

TEST_F(Pairs, NamesTheRecordWhenAShardShrinksAfterwards) {
  const auto shard = write("a.tar", tar_of({{"1.txt", "word"}, {"1.jpg", std::string(5000, 'x')}}));
  const auto pairs = open_pairs(shard);
  fs::resize_file(shard, 3000);
  try {
    pairs->read(0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_HAS(std::string(error.what()), "a.tar: ends after 3000 bytes");
  }
}

/// Points TMPDIR elsewhere for as long as it lives.
class TemporaryFolderIs {
 public:
  explicit TemporaryFolderIs(const fs::path& folder) { ::setenv("TMPDIR", folder.c_str(), 1); }
  ~TemporaryFolderIs() { before_ ? ::setenv("TMPDIR", before_->c_str(), 1) : ::unsetenv("TMPDIR"); }

 private:
  std::optional<std::string> before_ =
      std::getenv("TMPDIR") ? std::optional<std::string>(std::getenv("TMPDIR")) : std::nullopt;
};

TEST_F(Pairs, LeavesNoFileBehindWhenItUnpacksAShard) {
  const TemporaryFolderIs folder(folder_);
  const auto pairs = open_pairs((fixtures / "gnu.tar.gz").string());
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_EQ(pairs->read(0).image.size(), 1U);
}

TEST_F(Pairs, SaysWhereItCannotUnpackAShard) {
  const TemporaryFolderIs folder(folder_ / "none");
  const auto error = error_at((fixtures / "gnu.tar.gz").string());
  EXPECT_HAS(error, "gnu.tar.gz: cannot unpack");
  EXPECT_HAS(error, "TMPDIR");
}

TEST_F(Pairs, GivesTheSameRecordsToSeveralThreads) {
  for (const auto* name : {"web-{000..001}.tar", "gnu.tar.gz"}) {
    const auto pairs = open_pairs((fixtures / name).string());
    std::vector<std::vector<std::byte>> expected;
    for (std::int64_t i = 0; i < pairs->size(); ++i) expected.push_back(pairs->read(i).image);
    std::atomic<int> different = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int round = 0; round < 20; ++round) {
          for (std::int64_t i = 0; i < pairs->size(); ++i) {
            different += pairs->read(i).image != expected[static_cast<std::size_t>(i)];
          }
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(different, 0);
  }
}

TEST_F(Pairs, NoticesAShardThatIsCutOffAnywhere) {
  for (const auto* name : {"ustar.tar", "gnu.tar", "pax.tar", "gnu.tar.gz", "ustar.tar.xz", "pax.tar.zst"}) {
    const auto whole = read_text(fixtures / name);
    const auto records = read_json(fixtures / "shards.json")[name];
    const bool compressed = !std::string_view(name).ends_with(".tar");
    for (std::size_t size = 0; size + 1 < whole.size(); size += compressed ? 397 : 256) {
      SCOPED_TRACE(fmt::format("{} cut at {}", name, size));
      log_.clear();
      std::shared_ptr<const PairSource> pairs;
      try {
        pairs = open_pairs(write(compressed ? "cut.tar.gz" : "cut.tar", std::string_view(whole).substr(0, size)));
      } catch (const Error&) {
        continue;
      }
      ASSERT_FALSE(compressed);
      // Only the padding after the end mark may go missing without a word.
      const auto last = whole.find_last_not_of('\0');
      if (size < last / 512 * 512 + 1024) {
        EXPECT_HAS(log_.text(), "has no end mark");
      }
      for (std::int64_t i = 0; i < pairs->size(); ++i) {
        EXPECT_EQ(hex_of(pairs->read(i).image), std::string(records[static_cast<std::size_t>(i)]["image"]));
      }
    }
  }
}

TEST_F(Pairs, MeetsDamagedFilesWithAnErrorAtWorst) {
  std::mt19937 random(1);
  const std::vector<std::pair<std::string, std::string>> wholes = {
      {"a.tsv", read_text(fixtures / "quotes.tsv")},
      {"a.csv", read_text(fixtures / "windows.csv")},
      {"a.tar", read_text(fixtures / "pax.tar")},
      {"a.tar.gz", read_text(fixtures / "gnu.tar.gz")},
      {"a.tar.zst", read_text(fixtures / "pax.tar.zst")},
      {"b.tar", read_text(fixtures / "gnu.tar")},
      {"a.jsonl",
       "{\"file_name\": \"1.png\", \"text\": [\"one\", \"two\"]}\n{\"file_name\": \"2.png\", \"text\": \"three\"}\n"}};
  write("1.png", "");
  int errors = 0;
  for (int round = 0; round < 40; ++round) {
    for (auto [name, contents] : wholes) {
      const auto changes = 1 + random() % 8;
      for (std::size_t i = 0; i < changes; ++i) contents[random() % contents.size()] = static_cast<char>(random());
      if (round % 4 == 0) {
        for (auto& c : contents) c = static_cast<char>(random());
      }
      try {
        const auto pairs = open_pairs(write(name, contents));
        for (std::int64_t i = 0; i < pairs->size(); ++i) pairs->read(i);
      } catch (const Error&) {
        ++errors;
      }
    }
  }
  EXPECT_GT(errors, 70);  // a quarter of the rounds is pure noise
}

}  // namespace
}  // namespace vlalign::test::shard_pairs_test
