// Rows and captions that options choose: PairOptions::where and PairOptions::caption_keys.
#include <cmath>
#include <limits>
#include <map>

#include "data/pairs_fixture.hpp"
#include "data/sources/table_pairs.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign::test::table_choice_test {
namespace {

using Source = std::shared_ptr<const PairSource>;
using Keys = std::vector<CaptionKey>;

int hashed = 0;
std::uint64_t counted_hash(std::string_view path) { return ++hashed, usual_path_hash(path); }

constexpr TableOpening in_memory{.large = std::numeric_limits<std::int64_t>::max()};
constexpr TableOpening in_file{.large = 0, .hash = counted_hash};

class TableChoice : public Pairs {
 protected:
  void SetUp() override {
    Pairs::SetUp();
    for (const auto* name : {"a.png", "b.png", "c.png", "d.png", "e.png"}) write(name, "picture");
  }

  /// The pictures that are left, without the folder's name.
  std::string left(const std::string& name, std::string_view contents, const PairOptions& options) const {
    const auto pairs = open_pairs(write(name, contents), options);
    EXPECT_TRUE(pairs->bad_records().empty());
    std::string all;
    for (std::int64_t i = 0; i < pairs->size(); ++i) {
      all += (i == 0 ? "" : " ") + fs::path(pairs->name(i)).filename().string();
    }
    return all;
  }

  std::size_t index_files() const {
    const auto folder = cache_ / "vlalign/tables";
    return fs::exists(folder)
               ? static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()))
               : 0;
  }

  /// In memory, read from its beginning with its index kept, and by that index.
  std::vector<Source> open_in_every_way(const std::string& file, const PairOptions& options) const {
    std::vector<Source> all{open_table(file, options, in_memory), open_table(file, options, in_file)};
    hashed = 0;
    all.push_back(open_table(file, options, in_file));
    EXPECT_EQ(hashed, 0) << "the table was read again";
    return all;
  }
};

std::map<std::string, int> drawn(const PairSource& pairs, std::int64_t record, int times) {
  Rng rng({3});
  std::map<std::string, int> counts;
  for (int i = 0; i < times; ++i) ++counts[pairs.draw_caption(record, rng)];
  return counts;
}

/// Within five standard deviations of a binomial distribution.
void expect_share(int count, int times, double share) {
  EXPECT_NEAR(count, times * share, 5 * std::sqrt(times * share * (1 - share)));
}

std::string error_of_draw(const PairSource& pairs, std::int64_t record) {
  Rng rng({3});
  try {
    pairs.draw_caption(record, rng);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

constexpr auto scored =
    "filepath,title,score,license,big width\n"
    "a.png,one,0.31,by,64\n"
    "b.png,two,0.3,,640\n"
    "c.png,three,,by-nc,\n"
    "d.png,four, 9 ,cc0,1e3\n"
    "e.png,five,n/a,\"by\",007\n";

TEST_F(TableChoice, TakesTheRowsOfWhichTheConditionIsTrue) {
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"score > 0.3", "a.png d.png"},
      {"score >= 0.3 and `big width` > 100", "b.png d.png"},
      {"not score > 0.3", "b.png"},
      {"score is null", "c.png"},
      {"license is null or score is null", "b.png c.png"},
      {"license != 'by'", "c.png d.png"},
      {"not license in ('by', 'cc0')", "c.png"},
      {"license = ''", "nothing"},
      {"`big width` = 7", "e.png"},
      {"filepath < 'c'", "a.png b.png"},
      {"title = \"five\" or title = 'one'", "a.png e.png"},
  };
  for (const auto& [where, pictures] : expected) {
    SCOPED_TRACE(where);
    if (pictures == "nothing") {
      EXPECT_HAS(error_of("a.csv", scored, {.where = where}), "the condition takes none of 5 rows");
    } else {
      EXPECT_EQ(left("a.csv", scored, {.where = where}), pictures);
    }
  }
}

TEST_F(TableChoice, ComparesTheColumnsOfATsvAndOfMetadata) {
  const std::string rows = "file_name\ttext\tscore\na.png\tone\t1\nb.png\ttwo\t\nc.png\tthree\t\"3\"\n";
  const PairOptions options{.image_key = "file_name", .caption_key = "text", .where = "score > 0"};
  EXPECT_EQ(left("a.tsv", rows, options), "a.png c.png");
  write("metadata.csv", "file_name;text;score\na.png;one;1\nb.png;two;\n");
  const auto pairs = open_pairs(folder_.string(), {.where = "score is null or score > 5"});
  EXPECT_EQ(all_captions(pairs), Captions{"two"});
}

TEST_F(TableChoice, ComparesTheFieldsOfJsonObjects) {
  constexpr auto rows =
      R"({"file_name": "a.png", "text": "one", "score": 0.31, "meta": {"width": 64}, "ok": true}
{"file_name": "b.png", "text": "two", "score": "0.5", "meta": {"width": null}}
{"file_name": "c.png", "text": "three", "score": NaN, "meta": 3}

{"file_name": "d.png", "text": "four"}
)";
  const auto taken = [&](const char* where) { return left("a.jsonl", rows, {.where = where}); };
  EXPECT_EQ(taken("score > 0.3"), "a.png b.png");
  EXPECT_EQ(taken("not score > 0.4"), "a.png");
  EXPECT_EQ(taken("score is null"), "c.png d.png");
  EXPECT_EQ(taken("meta.width = 64 or file_name = 'd.png'"), "a.png d.png");
  EXPECT_EQ(taken("ok = true"), "a.png");
  EXPECT_HAS(error_of("a.jsonl", rows, {.where = "nowhere = 1"}),
             "a.jsonl: no pairs in it; the condition takes none of 4 rows: nowhere = 1");
}

TEST_F(TableChoice, TextThatIsNoUtf8ComparesWithNothing) {
  const std::string rows = "filepath,title,place\na.png,one,caf\xe9\nb.png,two,cafe\n";
  EXPECT_EQ(left("a.csv", rows, {.where = "place >= 'c'"}), "b.png");
  EXPECT_EQ(left("a.csv", rows, {.where = "place is not null"}), "a.png b.png");
}

TEST_F(TableChoice, GathersTheRowsThatAreTaken) {
  const auto pairs = open_pairs(write("a.csv",
                                      "filepath,title,n\n"
                                      "a.png,1,0\n"
                                      "b.png,2,1\n"
                                      "a.png,3,1\n"
                                      "b.png,4,0\n"
                                      "a.png,5,2\n"),
                                {.where = "n > 0"});
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(pairs->name(0), (folder_ / "b.png").string());
  EXPECT_EQ(pairs->captions(0), Captions{"2"});
  EXPECT_EQ(pairs->captions(1), (Captions{"3", "5"}));
}

TEST_F(TableChoice, RowsThatAreNotTakenAreNeverBad) {
  EXPECT_EQ(bad_of("a.csv",
                   "filepath,title,n\n"
                   "a.png,one,1\n"
                   "b.png,,0\n"         // without a caption, but not taken
                   "c.png,caf\xe9,0\n"  // nor this
                   ",word,0\n"          // nor this
                   "d.png,,1\n"
                   "e.png,word\n",
                   {.where = "n = 1"}),
            "a.csv:6: the caption is empty\n"
            "a.csv:7: expected 3 columns, found 2\n");
  EXPECT_EQ(bad_of("a.jsonl",
                   "{\"file_name\": \"a.png\", \"text\": \"one\", \"n\": 1}\n"
                   "{\"file_name\": \"b.png\", \"n\": 0}\n"
                   "{\"text\": \"two\"}\n"
                   "{\"text\": \"two\", \"n\": 1}\n"
                   "[1]\n",
                   {.where = "n = 1"}),
            "a.jsonl:4: no string \"file_name\"\n"
            "a.jsonl:5: expected a JSON object, found array\n");
}

TEST_F(TableChoice, RowsThatAreNotTakenAreNotCountedForMaxBad) {
  std::string table = "filepath,title,n\n";
  for (int i = 0; i < 90; ++i) table += "a.png,word,1\n";
  for (int i = 0; i < 1000; ++i) table += "a.png,word,0\n";
  for (int i = 0; i < 10; ++i) table += "a.png,,1\n";
  EXPECT_EQ(open_pairs(write("a.csv", table))->bad_records().size(), 10U);  // of 1,100
  EXPECT_HAS(error_of("a.csv", table, {.where = "n = 1"}), "10 of 100 records could not be read");
  EXPECT_EQ(open_pairs(write("a.csv", table), {.max_bad = 0.1, .where = "n = 1"})->bad_records().size(), 10U);
}

TEST_F(TableChoice, SaysWhyNothingIsLeft) {
  EXPECT_HAS(error_of("a.csv", "filepath,title,n\na.png,one,1\nb.png,two,2\n", {.where = "n > 2"}),
             "a.csv: no pairs in it; the condition takes none of 2 rows: n > 2");
  const auto error = error_of("a.csv", "filepath,title,n\na.png,one,1\nb.png,two\n", {.where = "n > 2"});
  EXPECT_HAS(error, "no pairs in it; the condition takes none of 1 rows: n > 2; ");
  EXPECT_HAS(error, "a.csv:3: expected 3 columns, found 2");
  EXPECT_TRUE(error_of("a.csv", "filepath,title,n\n", {.where = "n > 2"}).ends_with("no pairs in it"));
  EXPECT_TRUE(error_of("a.csv", "", {.where = "n > 2"}).ends_with("no pairs in it"));
}

TEST_F(TableChoice, RefusesAConditionThatTheTableCannotAnswer) {
  EXPECT_HAS(
      error_of("a.csv", "filepath,title,n\na.png,one,1\n", {.where = "n = 1 and width > 3"}),
      R"(a.csv: where: expected columns of this table, found "width", which is none of ["filepath", "title", "n"])");
  EXPECT_HAS(error_of("a.csv", "filepath,title,n\na.png,one,1\n", {.where = "n.x = 1"}), "found \"n.x\"");
  EXPECT_EQ(left("a.csv", "filepath,title,n.x\na.png,one,1\n", {.where = "n.x = 1"}), "a.png");
  EXPECT_HAS(error_of("a.csv", "a.png,one\n", {.where = "n = 1"}),
             "a.csv: where: expected a table with a header that names its columns, found none");
  EXPECT_HAS(error_of("a.csv", "filepath,title,n\na.png,one,1\n", {.where = "n ="}), "where: expected a field");
  EXPECT_HAS(error_of("a.jsonl", "{\"file_name\": \"a.png\", \"text\": \"one\"}\n", {.where = "= 1"}),
             "where: expected");
}

constexpr auto recaptioned =
    "filepath,alt,re,title\n"
    "a.png,an alt,a re,a title\n"
    "b.png,,b re,b title\n"
    "a.png,another alt,  ,\n"
    "c.png,c alt,,\n";

TEST_F(TableChoice, GivesTheCaptionsOfAllKeysRowAfterRow) {
  const PairOptions options{.caption_keys = Keys{{"re", 1}, {"alt", 0}}};
  std::string tabs = recaptioned;
  std::replace(tabs.begin(), tabs.end(), ',', '\t');
  for (const auto& file : {write("a.csv", recaptioned), write("a.tsv", tabs)}) {
    for (const auto& pairs : open_in_every_way(file, options)) {
      ASSERT_EQ(pairs->size(), 3);
      EXPECT_EQ(pairs->captions(0), (Captions{"a re", "an alt", "another alt"}));
      EXPECT_EQ(pairs->captions(1), Captions{"b re"});
      EXPECT_EQ(pairs->captions(2), Captions{"c alt"});
      EXPECT_EQ(pairs->read(0).captions, pairs->captions(0));
      EXPECT_TRUE(pairs->bad_records().empty());
    }
  }
}

TEST_F(TableChoice, GivesTheCaptionsOfKeysInJson) {
  const auto file = write("a.jsonl", R"({"file_name": "a.png", "alt": "1", "re": ["2", "", "3"]}
{"file_name": "b.png", "alt": null, "re": "4"}
{"file_name": "a.png", "re": "5", "alt": ["6"], "text": "not asked for"}
)");
  for (const auto& pairs : open_in_every_way(file, {.caption_keys = Keys{{"re", 1}, {"alt", 1}}})) {
    ASSERT_EQ(pairs->size(), 2);
    EXPECT_EQ(pairs->captions(0), (Captions{"2", "3", "1", "5", "6"}));
    EXPECT_EQ(pairs->captions(1), Captions{"4"});
  }
}

TEST_F(TableChoice, NeedsNoColumnOfTheUsualCaption) {
  EXPECT_EQ(left("a.csv", "filepath;alt;re\na.png;one, two;\n", {.caption_keys = Keys{{"alt", 1}, {"re", 1}}}),
            "a.png");
}

/// Of a.png "re" holds 2, 3 and 5, and "alt" 1 and 6: with weights of 3 and 1 each of the former has 3 / 4 / 3 of all,
/// each of the latter 1 / 4 / 2. Of b.png "alt" holds nothing.
TEST_F(TableChoice, DrawsAKeyByItsWeightAndThenOneOfItsCaptions) {
  constexpr int times = 8000;
  const auto json = write("a.jsonl", R"({"file_name": "a.png", "alt": "1", "re": ["2", "3"]}
{"file_name": "b.png", "alt": " ", "re": ["4"]}
{"file_name": "a.png", "re": "5", "alt": ["6"]}
)");
  const auto csv = write("a.csv",
                         "filepath,alt,re\n"
                         "a.png,1,2\n"
                         "b.png, ,4\n"
                         "a.png,,3\n"
                         "a.png,6,5\n");
  for (const auto& file : {json, csv}) {
    for (const auto& pairs : open_in_every_way(file, {.caption_keys = Keys{
                                                          {"alt", 1},
                                                          {"re", 3},
                                                      }})) {
      auto counts = drawn(*pairs, 0, times);
      EXPECT_EQ(counts.size(), 5U);
      for (const auto* one : {"2", "3", "5"}) expect_share(counts[one], times, 0.25);
      for (const auto* one : {"1", "6"}) expect_share(counts[one], times, 0.125);
      EXPECT_EQ(drawn(*pairs, 1, 10), (std::map<std::string, int>{{"4", 10}}));
    }
  }
}

TEST_F(TableChoice, NeverDrawsAKeyOfWeightZero) {
  const auto pairs = open_pairs(write("a.csv", recaptioned), {.caption_keys = Keys{{"re", 1}, {"alt", 0}}});
  EXPECT_EQ(drawn(*pairs, 0, 20), (std::map<std::string, int>{{"a re", 20}}));
  EXPECT_EQ(error_of_draw(*pairs, 2), (folder_ / "c.png").string() +
                                          ": no caption under any of \"re\", \"alt\" that is drawn with a probability "
                                          "above 0");
}

/// One number where there is a choice, whatever it is of: Rng::below() without keys, which always takes one.
TEST_F(TableChoice, WithoutKeysDrawsWhatItDrewBefore) {
  const auto pairs = open_pairs(write("a.csv", "filepath,title\na.png,1\na.png,2\na.png,3\nb.png,4\n"));
  Rng rng({5}), expected({5});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(pairs->draw_caption(0, rng), fmt::format("{}", 1 + expected.below(3)));
    EXPECT_EQ(pairs->draw_caption(1, rng), "4");
    expected.below(1);
  }
  EXPECT_EQ(rng.next(), expected.next());
}

TEST_F(TableChoice, ARowWithoutACaptionUnderAnyKeyIsBad) {
  const Keys keys{{"re", 1}, {"alt", 1}};
  EXPECT_EQ(bad_of("a.csv", "filepath,alt,re\na.png,one,\nb.png, ,\nc.png,one,caf\xe9\n", {.caption_keys = keys}),
            "a.csv:3: no caption under any of \"re\", \"alt\"\n"
            "a.csv:4: the caption under \"re\" is not UTF-8\n");
  EXPECT_EQ(bad_of("a.jsonl",
                   "{\"file_name\": \"a.png\", \"re\": \"one\"}\n"
                   "{\"file_name\": \"b.png\", \"re\": [\" \"], \"text\": \"word\"}\n"
                   "{\"file_name\": \"c.png\", \"re\": 3}\n",
                   {.caption_keys = keys}),
            "a.jsonl:2: no caption under any of \"re\", \"alt\"\n"
            "a.jsonl:3: \"re\" must be a string or a list of strings, 3 is none\n");
}

TEST_F(TableChoice, RefusesKeysThatTheTableDoesNotHave) {
  const PairOptions options{.caption_keys = Keys{{"title", 1}, {"re", 1}}};
  EXPECT_HAS(error_of("a.csv", "filepath,title,alt\na.png,one,two\n", options),
             "a.csv: expected the column \"filepath\" and, for the caption keys, \"title\", \"re\", found "
             R"(["filepath", "title", "alt"])");
  EXPECT_HAS(error_of("a.csv", "filepath;title;alt\na.png;one;two\n", options),
             R"(found ["filepath", "title", "alt"])");
  EXPECT_HAS(error_of("a.csv", "a.png,one\n", options),
             "a.csv: caption keys: expected a table with a header that names its columns, found none");
  EXPECT_HAS(error_of("a.csv", recaptioned, {.caption_keys = Keys{{"re", -1}}}), "caption keys: expected 0 or more");
  EXPECT_HAS(error_of("a.jsonl", "{\"file_name\": \"a.png\"}\n", {.caption_keys = Keys{{"re", 0}}}),
             "caption keys: expected a number above 0");
}

TEST_F(TableChoice, ChoosesRowsAndCaptionsAtOnce) {
  const PairOptions options{.caption_keys = Keys{{"alt", 1}, {"title", 1}}, .where = "re is null or re != 'b re'"};
  for (const auto& pairs : open_in_every_way(write("a.csv", recaptioned), options)) {
    EXPECT_EQ(all_captions(pairs), (Captions{"an alt", "a title", "another alt", "c alt"}));
  }
}

TEST_F(TableChoice, KeepsAnIndexForEachChoice) {
  const auto file = write("a.csv", "filepath,title,alt,n\na.png,one,1,0\na.png,two,2,1\nb.png,,3,1\n");
  const auto captions = [&](const PairOptions& options) { return all_captions(open_table(file, options, in_file)); };
  for (int i = 0; i < 2; ++i) {
    hashed = 0;
    EXPECT_EQ(captions({}), (Captions{"one", "two"}));
    EXPECT_EQ(captions({.where = "n = 1"}), Captions{"two"});
    EXPECT_EQ(captions({.where = "n = 0"}), Captions{"one"});
    EXPECT_EQ(captions({.caption_keys = Keys{{"alt", 1}}}), (Captions{"1", "2", "3"}));
    EXPECT_EQ(captions({.caption_keys = Keys{{"alt", 1}, {"title", 1}}}), (Captions{"1", "one", "2", "two", "3"}));
    EXPECT_EQ(captions({.caption_keys = Keys{{"title", 1}, {"alt", 1}}}), (Captions{"one", "1", "two", "2", "3"}));
    EXPECT_EQ(captions({.caption_keys = Keys{{"alt", 1}}, .where = "n = 1"}), (Captions{"2", "3"}));
    EXPECT_EQ(index_files(), 7U);
    EXPECT_EQ(hashed == 0, i == 1);
  }
  captions({.caption_keys = Keys{{"alt", 5}}});  // places don't depend on what keys weigh
  EXPECT_EQ(index_files(), 7U);
}

TEST_F(TableChoice, TellsRunsOfOtherWeightsApart) {
  const auto file = write("a.csv", recaptioned);
  const auto print = [&](const PairOptions& options) { return open_pairs(file, options)->fingerprint(); };
  const auto weights = [&](double alt, double re) {
    return PairOptions{.caption_keys = Keys{{"alt", alt}, {"re", re}}};
  };
  EXPECT_EQ(print(weights(1, 2)), print(weights(1, 2)));
  EXPECT_NE(print(weights(1, 2)), print(weights(2, 1)));
  EXPECT_NE(print(weights(1, 2)), "");
  EXPECT_EQ(print({}), "");  // names and captions say all
  EXPECT_EQ(print({.where = "filepath != 'b.png'"}), "");
}

TEST_F(TableChoice, TellsRunsApartWhereverTheirPicturesLie) {
  const auto print = [&](const char* folder, const char* caption) {
    fs::create_directory(folder_ / folder);
    write(fmt::format("{}/a.png", folder), "picture");
    const auto table =
        fmt::format("filepath,alt\n{0}/a.png,{1}\n{0}/b.png,{1}\n", (folder_ / folder).string(), caption);
    const auto file = write(fmt::format("{}/a.csv", folder), table);
    return open_pairs(file, {.caption_keys = Keys{{"alt", 1}}})->fingerprint();
  };
  EXPECT_EQ(print("here", "one"), print("elsewhere", "one"));
  EXPECT_NE(print("here", "one"), print("here", "two"));
}

}  // namespace
}  // namespace vlalign::test::table_choice_test
