#include "vlalign/data/pairs.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <thread>

#include "data/brace_expand.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Captions = std::vector<std::string>;

const fs::path fixtures = fs::path(VLALIGN_FIXTURES) / "pairs";

json read_json(const fs::path& path) { return json::parse(std::ifstream(path)); }

std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex_of(const std::vector<std::byte>& bytes) {
  std::string hex;
  for (const auto byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return hex;
}

/// A folder that is gone after the test, and what was logged meanwhile.
class Pairs : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "vlalign-pairs-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    spdlog::set_default_logger(
        std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_)));
  }
  void TearDown() override {
    spdlog::set_default_logger(logger_);
    fs::remove_all(folder_);
  }

  std::string write(const std::string& name, std::string_view contents) const {
    std::ofstream(folder_ / name, std::ios::binary) << contents;
    return (folder_ / name).string();
  }

  /// Writes the file, opens it and gives what it throws.
  std::string error_of(const std::string& name, std::string_view contents, const PairOptions& options = {}) const {
    return error_at(write(name, contents), options);
  }
  static std::string error_at(const std::string& location, const PairOptions& options = {}) {
    try {
      open_pairs(location, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  std::size_t warnings() const {
    const auto text = log_.str();
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  fs::path folder_;
  std::ostringstream log_;

 private:
  std::shared_ptr<spdlog::logger> logger_ = spdlog::default_logger();
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

/// A ustar file, by the layout in POSIX's pax: 512-byte headers, content padded to 512, two empty blocks.
std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string tar;
  for (const auto& [name, content] : members) {
    std::array<char, 512> header{};
    name.copy(header.data(), 100);
    std::snprintf(&header[100], 8, "%07o", 0644U);
    std::snprintf(&header[124], 12, "%011o", static_cast<unsigned>(content.size()));
    std::snprintf(&header[136], 12, "%011o", 0U);
    std::fill(&header[148], &header[156], ' ');
    header[156] = '0';
    std::string_view("ustar\00000", 8).copy(&header[257], 8);
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(&header[148], 8, "%06o", sum);
    tar.append(header.data(), header.size());
    tar += content;
    tar.append((512 - content.size() % 512) % 512, '\0');
  }
  return tar.append(1024, '\0');
}

// ---- tables ----

TEST_F(Pairs, ReadsTablesAsPandasDoes) {
  const auto tables = read_json(fixtures / "tables.json");
  for (const auto& [name, rows] : tables.items()) {
    SCOPED_TRACE(name);
    write("1.png", "picture");
    const auto pairs = open_pairs(write(name, read_text(fixtures / name)));
    ASSERT_EQ(pairs->size(), static_cast<std::int64_t>(rows.size()));
    for (std::int64_t i = 0; i < pairs->size(); ++i) {
      EXPECT_EQ(pairs->name(i), (folder_ / std::string(rows[static_cast<std::size_t>(i)][0])).string());
      EXPECT_EQ(pairs->captions(i), Captions{rows[static_cast<std::size_t>(i)][1]});
    }
  }
}

TEST_F(Pairs, ReadsThePictureBesideTheTable) {
  const std::string bytes("\0\1picture\xff", 10);
  fs::create_directory(folder_ / "images");
  write("images/a.png", bytes);
  const auto pairs = open_pairs(write("pairs.tsv", "filepath\ttitle\nimages/a.png\ta word\n"));
  const auto pair = pairs->read(0);
  EXPECT_EQ(text_of(pair.image), bytes);
  EXPECT_EQ(pair.captions, Captions{"a word"});
  EXPECT_EQ(pair.name, (folder_ / "images/a.png").string());
}

TEST_F(Pairs, TakesAnAbsolutePathAsItIs) {
  const auto picture = write("a.png", "picture");
  fs::create_directory(folder_ / "tables");
  const auto pairs = open_pairs(write("tables/pairs.tsv", "filepath\ttitle\n" + picture + "\ta word\n"));
  EXPECT_EQ(text_of(pairs->read(0).image), "picture");
}

TEST_F(Pairs, GathersTheCaptionsOfOnePictureInTheOrderOfFirstAppearance) {
  write("a.png", "");
  const auto pairs =
      open_pairs(write("pairs.csv", "filepath,title\na.png,1\nb.png,2\na.png,3\na.png,4\nc.png,5\nb.png,6\n"));
  ASSERT_EQ(pairs->size(), 3);
  EXPECT_EQ(pairs->captions(0), (Captions{"1", "3", "4"}));
  EXPECT_EQ(pairs->captions(1), (Captions{"2", "6"}));
  EXPECT_EQ(pairs->captions(2), (Captions{"5"}));
}

TEST_F(Pairs, TakesOtherColumnNamesFromTheOptions) {
  write("a.png", "");
  const PairOptions options{.image_key = "img", .caption_key = "words"};
  EXPECT_EQ(open_pairs(write("pairs.csv", "words,img\nhello,a.png\n"), options)->captions(0), Captions{"hello"});
  EXPECT_EQ(open_pairs(write("pairs.jsonl", R"({"img": "a.png", "words": "hello"})"), options)->captions(0),
            Captions{"hello"});
}

TEST_F(Pairs, SkipsEmptyCaptionsWithOneWarning) {
  write("a.png", "");
  const auto pairs = open_pairs(write("pairs.tsv", "filepath\ttitle\na.png\t\nb.png\t  \nc.png\tword\na.png\tlater\n"));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(pairs->captions(1), Captions{"later"});
  EXPECT_EQ(warnings(), 1U);
  EXPECT_HAS(log_.str(), "2 captions are empty and skipped, the first on line 2");
}

TEST_F(Pairs, NamesTheFileAndLineOfAMalformedRow) {
  write("a.png", "");
  const std::string header = "filepath\ttitle\na.png\tword\n";
  EXPECT_HAS(error_of("a.tsv", header + "b.png\n"), "a.tsv:3: expected 2 columns, found 1");
  EXPECT_HAS(error_of("a.tsv", header + "\n\nb.png\tword\tmore\n"), "a.tsv:5: expected 2 columns, found 3");
  EXPECT_HAS(error_of("a.tsv", header + "\tword\n"), "a.tsv:3: the image path is empty");
  EXPECT_HAS(error_of("a.csv", "filepath,title\na.png,\"two\nlines\"\nb.png\n"),
             "a.csv:4: expected 2 columns, found 1");
  EXPECT_HAS(error_of("a.tsv", header + "b.png\t\"word\nc.png\tword\n"), "on line 3 is never closed");
  EXPECT_HAS(error_of("a.tsv", header + "b.png\t\"word\nc.png\tword\nd.png\t\"word\n"),
             "on line 3 closes in the middle of a field on line 5");
}

TEST_F(Pairs, NamesTheColumnsFoundWhenTheHeaderLacksOne) {
  const auto error = error_of("a.tsv", "image\tcaption\na.png\tword\n");
  EXPECT_HAS(error, R"(expected the columns "filepath" and "title")");
  EXPECT_HAS(error, R"(found ["image", "caption"])");
  EXPECT_HAS(error_of("a.csv", "filepath,text\na.png,word\n"), R"(found ["filepath", "text"])");
  EXPECT_HAS(error_of("a.csv", "a.png,word,3\n"), R"(found ["a.png", "word", "3"])");
}

TEST_F(Pairs, NamesTheFirstPictureWhenNoneIsThere) {
  const auto error = error_of("a.tsv", "filepath\ttitle\nimages/a.png\tword\nimages/b.png\tword\n");
  EXPECT_HAS(error, "none of the first 2 pictures exists");
  EXPECT_HAS(error, (folder_ / "images/a.png").string());
}

TEST_F(Pairs, LooksBesideATableNamedFromTheWorkingFolder) {
  const auto before = fs::current_path();
  write("a.png", "picture");
  write("a.tsv", "filepath\ttitle\na.png\tword\n");
  write("none.tsv", "filepath\ttitle\nb.png\tword\n");
  fs::current_path(folder_);
  EXPECT_EQ(open_pairs("a.tsv")->read(0).image.size(), 7U);
  EXPECT_HAS(error_at("none.tsv"), (folder_ / "b.png").string());
  fs::current_path(before);
}

TEST_F(Pairs, LeavesASingleMissingPictureToTheReader) {
  write("a.png", "");
  const auto pairs = open_pairs(write("a.tsv", "filepath\ttitle\na.png\tword\nb.png\tword\n"));
  try {
    pairs->read(1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_HAS(std::string(error.what()), (folder_ / "b.png").string() + ": cannot open: No such file");
  }
  EXPECT_THROW(pairs->read(2), Error);
  EXPECT_THROW(pairs->captions(-1), Error);
  EXPECT_THROW(pairs->name(2), Error);
}

TEST_F(Pairs, RefusesTablesWithoutPairsAndOtherLocations) {
  EXPECT_HAS(error_of("a.tsv", ""), "no pairs in it");
  EXPECT_HAS(error_of("a.csv", "filepath,title\n"), "no pairs in it");
  EXPECT_HAS(error_of("a.jsonl", "\n"), "no pairs in it");
  EXPECT_HAS(error_of("a.tsv", "filepath\ttitle\na.png\t\n"), "no pairs in it");
  EXPECT_HAS(error_of("a.tsv",
                      "\xff\xfe"
                      "f\0i\0"),
             "UTF-16");
  EXPECT_HAS(error_of("a.parquet", "PAR1"), "expected a .tsv, .csv or .jsonl");
  EXPECT_HAS(error_at((folder_ / "none.tsv").string()), "none.tsv: no such file");
  EXPECT_HAS(error_at(folder_.string()), "needs a metadata.jsonl or metadata.csv");
  EXPECT_HAS(error_at(""), "no location");
  EXPECT_HAS(error_at(std::string(5000, 'x') + ".tsv"), "File name too long");
}

TEST_F(Pairs, ReadsJsonLinesWithOneOrSeveralCaptions) {
  write("a.png", "");
  const auto pairs = open_pairs(write("pairs.jsonl",
                                      "\xef\xbb\xbf{\"file_name\": \"a.png\", \"text\": \"one\"}\r\n\r\n"
                                      "{\"text\": [\"two\", \"\\u00e9\"], \"file_name\": \"b.png\", \"n\": 1}\n"
                                      "{\"file_name\": \"a.png\", \"text\": \"three\"}"));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(pairs->captions(0), (Captions{"one", "three"}));
  EXPECT_EQ(pairs->captions(1), (Captions{"two", "\xc3\xa9"}));
}

TEST_F(Pairs, CountsNullAndEmptyListsAsEmptyCaptions) {
  write("a.png", "");
  const auto pairs = open_pairs(write("pairs.jsonl",
                                      "{\"file_name\": \"a.png\", \"text\": [\"one\", \"\"]}\n"
                                      "{\"file_name\": \"b.png\", \"text\": null}\n"
                                      "{\"file_name\": \"c.png\", \"text\": []}\n"));
  ASSERT_EQ(pairs->size(), 1);
  EXPECT_EQ(pairs->captions(0), Captions{"one"});
  EXPECT_HAS(log_.str(), "3 captions are empty and skipped, the first on line 1");
}

TEST_F(Pairs, NamesTheFileAndLineOfAMalformedJsonLine) {
  const std::string good = "{\"file_name\": \"a.png\", \"text\": \"one\"}\n";
  EXPECT_HAS(error_of("a.jsonl", good + "{\"file_name\": \"b.png\""), "a.jsonl:2: not a JSON object");
  EXPECT_HAS(error_of("a.jsonl", good + "[1]"), "a.jsonl:2: expected a JSON object, found array");
  EXPECT_HAS(error_of("a.jsonl", good + "{\"text\": \"x\"}"), "a.jsonl:2: no string \"file_name\"");
  EXPECT_HAS(error_of("a.jsonl", good + "{\"file_name\": 3, \"text\": \"x\"}"), "a.jsonl:2: no string \"file_name\"");
  EXPECT_HAS(error_of("a.jsonl", good + "{\"file_name\": \"b.png\"}"), "a.jsonl:2: no \"text\"");
  EXPECT_HAS(error_of("a.jsonl", good + "{\"file_name\": \"b.png\", \"text\": [1]}"),
             "must be a string or a list of strings");
  EXPECT_HAS(error_of("a.jsonl", good + "{\"file_name\": \"b.png\", \"text\": \"\xff\"}"),
             "a.jsonl:2: not a JSON object");
}

TEST_F(Pairs, OpensAFolderByItsMetadata) {
  write("a.png", "picture");
  write("metadata.csv", "file_name,text\na.png,from csv\n");
  EXPECT_EQ(open_pairs(folder_.string())->captions(0), Captions{"from csv"});
  write("metadata.jsonl", "{\"file_name\": \"a.png\", \"text\": \"from jsonl\"}\n");
  const auto pairs = open_pairs(folder_.string());
  EXPECT_EQ(pairs->captions(0), Captions{"from jsonl"});
  EXPECT_EQ(text_of(pairs->read(0).image), "picture");
}

// ---- shards ----

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
  EXPECT_EQ(log_.str(), "");
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
  EXPECT_HAS(error_at((fixtures / "{web-000.tar,quotes.tsv}").string()), "quotes.tsv: expected tar shards");
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

TEST_F(Pairs, TakesTheCaptionFromJsonWhenTheTextIsBlank) {
  const auto pairs =
      open_pairs(write("a.tar", tar_of({{"a.jpg", "A"}, {"a.txt", " \n"}, {"a.json", R"({"caption": "from json"})"}})));
  EXPECT_EQ(pairs->captions(0), Captions{"from json"});
}

TEST_F(Pairs, SkipsIncompleteRecordsWithOneWarning) {
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
  EXPECT_EQ(warnings(), 1U);
  EXPECT_HAS(log_.str(), "4 records without a picture or a caption are skipped, the first is");
  EXPECT_HAS(log_.str(), "a.tar:1");
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

// ---- damage ----

TEST_F(Pairs, NoticesAShardThatIsCutOffAnywhere) {
  for (const auto* name : {"ustar.tar", "gnu.tar", "pax.tar", "gnu.tar.gz", "ustar.tar.xz", "pax.tar.zst"}) {
    const auto whole = read_text(fixtures / name);
    const auto records = read_json(fixtures / "shards.json")[name];
    const bool compressed = !std::string_view(name).ends_with(".tar");
    for (std::size_t size = 0; size + 1 < whole.size(); size += compressed ? 397 : 256) {
      SCOPED_TRACE(fmt::format("{} cut at {}", name, size));
      log_.str("");
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
        EXPECT_HAS(log_.str(), "has no end mark");
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
}  // namespace vlalign
