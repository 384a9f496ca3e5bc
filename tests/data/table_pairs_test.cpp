#include "data/pairs_fixture.hpp"

namespace vlalign::test::table_pairs_test {
namespace {

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

TEST_F(Pairs, GivesEveryCaptionInItsOrder) {
  write("1.png", "");
  const auto pairs = open_pairs(write("a.jsonl", R"({"file_name": "1.png", "text": ["one", "two"]}
{"file_name": "2.png", "text": "three"}
)"));
  EXPECT_EQ(all_captions(*pairs), (Captions{"one", "two", "three"}));
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
  EXPECT_EQ(log_.warnings(), 1U);
  EXPECT_HAS(log_.text(), "2 captions are empty and skipped, the first on line 2");
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
  EXPECT_HAS(log_.text(), "3 captions are empty and skipped, the first on line 1");
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

}  // namespace
}  // namespace vlalign::test::table_pairs_test
