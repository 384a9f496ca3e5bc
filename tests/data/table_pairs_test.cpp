#include "data/pairs_fixture.hpp"
#include "data/tar_of.hpp"

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
  EXPECT_EQ(all_captions(pairs), (Captions{"one", "two", "three"}));
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

TEST_F(Pairs, CountsEmptyCaptionsAsBadRecords) {
  write("a.png", "");
  const auto pairs = open_pairs(write("pairs.tsv", "filepath\ttitle\na.png\t\nb.png\t  \nc.png\tword\na.png\tlater\n"));
  ASSERT_EQ(pairs->size(), 2);
  EXPECT_EQ(pairs->captions(1), Captions{"later"});
  const auto file = (folder_ / "pairs.tsv").string();
  EXPECT_EQ(pairs->bad_records(), (std::vector{file + ":2: the caption is empty", file + ":3: the caption is empty"}));
  EXPECT_EQ(log_.warnings(), 2U);
  EXPECT_HAS(log_.text(), "a record is skipped: " + file + ":3: the caption is empty");
}

TEST_F(Pairs, CountsAMalformedRowAndReadsTheOthers) {
  write("a.png", "");
  const std::string header = "filepath\ttitle\na.png\tword\n";
  EXPECT_EQ(bad_of("a.tsv", header + "b.png\n"), "a.tsv:3: expected 2 columns, found 1\n");
  EXPECT_EQ(bad_of("a.tsv", header + "\n\nb.png\tword\tmore\n"), "a.tsv:5: expected 2 columns, found 3\n");
  EXPECT_EQ(bad_of("a.tsv", header + "\tword\n"), "a.tsv:3: the image path is empty\n");
  EXPECT_EQ(bad_of("a.tsv", header + std::string("a.png\0b\tword\n", 13)),
            "a.tsv:3: the image path holds a NUL byte\n");
  EXPECT_EQ(bad_of("a.tsv", header + "b.png\tcaf\xe9\n"), "a.tsv:3: the caption is not UTF-8\n");
  EXPECT_EQ(bad_of("a.csv", "filepath,title\na.png,\"two\nlines\"\nb.png\n"), "a.csv:4: expected 2 columns, found 1\n");
}

TEST_F(Pairs, LosesOnlyTheLineOfAStrayQuote) {
  write("a.png", "");
  const std::string header = "filepath\ttitle\na.png\tword\n";
  const auto open_end = header + "b.png\t\"word\nc.png\tword\n";
  EXPECT_HAS(bad_of("a.tsv", open_end), "a.tsv:3: the quote that opens a field on line 3 is never closed");
  EXPECT_EQ(open_pairs((folder_ / "a.tsv").string())->name(1), (folder_ / "c.png").string());
  const auto bad = bad_of("a.tsv", open_end + "d.png\t\"word\ne.png\tword\n");
  EXPECT_HAS(bad, "a.tsv:3: the quote that opens a field on line 3 closes in the middle of a field on line 5");
  EXPECT_HAS(bad, "a.tsv:5: the quote that opens a field on line 5 is never closed");
  const auto pairs = open_pairs((folder_ / "a.tsv").string());
  ASSERT_EQ(pairs->size(), 3);
  EXPECT_EQ(pairs->name(2), (folder_ / "e.png").string());
}

TEST_F(Pairs, RefusesATableOfWhichTooMuchIsBad) {
  write("a.png", "");
  std::string table = "filepath\ttitle\n";
  for (int i = 0; i < 190; ++i) table += "a.png\tword\n";
  for (int i = 0; i < 10; ++i) table += "a.png\n";
  EXPECT_EQ(open_pairs(write("a.tsv", table))->bad_records().size(), 10U);  // a twentieth
  EXPECT_EQ(log_.count("a record is skipped"), 10);
  EXPECT_EQ(log_.count("more records may be skipped"), 1);
  const auto error = error_of("a.tsv", table + "a.png\n");
  EXPECT_HAS(error, "a.tsv: 11 of 201 records could not be read, more than max_bad = 0.05 allows");
  EXPECT_HAS(error, "a.tsv:192: expected 2 columns, found 1");
  EXPECT_EQ(open_pairs((folder_ / "a.tsv").string(), {.max_bad = 0.06})->bad_records().size(), 11U);
  EXPECT_HAS(error_of("b.tsv", "filepath\ttitle\na.png\nb.png\n"), "no pairs in it; ");
  EXPECT_HAS(error_of("b.tsv", table, {.max_bad = 1.5}), "[open_pairs] max_bad: expected 0 to 1, got 1.5");
}

TEST_F(Pairs, ReadsHostileTablesAsPythonDoes) {
  const auto known = read_json(fixtures / "hostile.json");
  write("0.png", "");
  for (const auto& [name, expected] : known.items()) {
    SCOPED_TRACE(name);
    const auto file = write(name, read_text(fixtures / name));
    const auto pairs = open_pairs(file);
    const auto& records = expected["records"];
    ASSERT_EQ(pairs->size(), static_cast<std::int64_t>(records.size()));
    for (std::int64_t i = 0; i < pairs->size(); ++i) {
      const auto& record = records[static_cast<std::size_t>(i)];
      const auto path = fs::path(pairs->name(i)).filename().string();
      EXPECT_EQ(hex_of({reinterpret_cast<const std::byte*>(path.data()),
                        reinterpret_cast<const std::byte*>(path.data()) + path.size()}),
                std::string(record[0]));
      EXPECT_EQ(pairs->captions(i), Captions(record[1]));
    }
    const auto bad = pairs->bad_records();
    ASSERT_EQ(bad.size(), expected["bad_lines"].size());
    for (std::size_t i = 0; i < bad.size(); ++i) {
      EXPECT_TRUE(bad[i].starts_with(fmt::format("{}:{}: ", file, expected["bad_lines"][i].get<int>()))) << bad[i];
    }
  }
}

TEST_F(Pairs, FindsTheSeparatorInTheHeader) {
  write("a.png", "");
  const auto caption_of = [&](const char* name, const std::string& table, const PairOptions& options = {}) {
    return open_pairs(write(name, table), options)->captions(0);
  };
  EXPECT_EQ(caption_of("a.csv", "filepath\ttitle\na.png\tone, two\n"), Captions{"one, two"});
  EXPECT_EQ(caption_of("a.csv", "filepath;title\r\na.png;one, two\r\n"), Captions{"one, two"});
  EXPECT_EQ(caption_of("a.tsv", "filepath,title\na.png,\"one, two\"\n"), Captions{"one, two"});
  EXPECT_EQ(caption_of("a.csv", "filepath,title\na.png,one\ttwo\n"), Captions{"one\ttwo"});
  EXPECT_EQ(caption_of("metadata.csv", "file_name\ttext\na.png\tone, two\n"), Captions{"one, two"});
  EXPECT_EQ(caption_of("b.csv", "a.png\tone, two\n"), Captions{"one, two"});
  EXPECT_EQ(caption_of("a.csv", "filepath|title\na.png|one\n", {.separator = '|'}), Captions{"one"});
  EXPECT_HAS(error_of("a.csv", "filepath|title\na.png|one\n"), R"(found ["filepath|title"])");
  EXPECT_HAS(error_of("a.csv", "filepath,title\na.png,one\n", {.separator = '\t'}), R"(found ["filepath,title"])");
  EXPECT_HAS(error_of("a.csv", "filepath,title\na.png,one\n", {.separator = '"'}), "[open_pairs] separator");
}

TEST_F(Pairs, TakesTheNamesThatAreGivenAlsoWhereTheyAreTheDefaults) {
  write("a.png", "");
  write("b.png", "");
  const std::string both = R"({"filepath": "a.png", "title": "given", "file_name": "b.png", "text": "not given"})";
  EXPECT_EQ(open_pairs(write("a.jsonl", both))->captions(0), Captions{"not given"});
  EXPECT_EQ(open_pairs(write("a.jsonl", both), {.image_key = "filepath", .caption_key = "title"})->captions(0),
            Captions{"given"});
  EXPECT_EQ(open_pairs(write("metadata.csv", "filepath,title\na.png,word\n"),
                       {.image_key = "filepath", .caption_key = "title"})
                ->captions(0),
            Captions{"word"});
}

TEST_F(Pairs, JoinsTablesShardsAndFolders) {
  fs::create_directory(folder_ / "below");
  write("below/c.png", "C");
  write("below/metadata.jsonl", R"({"file_name": "c.png", "text": "of c"})");
  write("a.png", "A");
  write("a.tsv", "filepath\ttitle\na.png\tof a\nb.png\n");
  write("1.tar", tar_of({{"1.png", "1"}, {"1.txt", "of 1"}, {"x.png", "no caption"}}));
  write("2.tar", tar_of({{"2.png", "2"}, {"2.txt", "of 2"}}));
  const auto at = [&](const char* name) { return (folder_ / name).string(); };
  const auto pairs = open_pairs(at("1.tar") + "::" + at("a.tsv") + "::" + at("below") + "::" + at("2.tar"));
  EXPECT_EQ(all_captions(pairs), (Captions{"of 1", "of a", "of c", "of 2"}));
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(text_of(pairs->read(i).image), std::string(1, "1AC2"[i]));
  EXPECT_EQ(pairs->name(3), at("2.tar") + ":2");
  EXPECT_EQ(pairs->bad_records(), (std::vector{at("1.tar") + ":x: has no caption, a .txt or .json",
                                               at("a.tsv") + ":3: expected 2 columns, found 1"}));
  EXPECT_THROW(pairs->read(4), Error);
  EXPECT_HAS(error_at(at("1.tar") + "::" + at("none.tar")), "none.tar: no such file");
  EXPECT_HAS(error_at(at("1.tar") + "::"), "expected a location on either side");
}

TEST_F(Pairs, ExpandsGlobsInTheOrderOfTheirNames) {
  fs::create_directory(folder_ / "shards");
  for (const auto* name : {"10", "2", "1", "b"})
    write(fmt::format("shards/{}.tar", name), tar_of({{"1.png", name}, {"1.txt", name}}));
  write("shards/notes.txt", "");
  const auto captions = [&](const std::string& pattern) {
    return all_captions(open_pairs((folder_ / pattern).string()));
  };
  EXPECT_EQ(captions("shards/*.tar"), (Captions{"1", "10", "2", "b"}));
  EXPECT_EQ(captions("*/[0-9].tar"), (Captions{"1", "2"}));
  EXPECT_EQ(captions("shards/{2,1*}.tar"), (Captions{"2", "1", "10"}));
  EXPECT_HAS(error_at((folder_ / "shards/*.tgz").string()), "*.tgz: nothing fits this pattern");
  EXPECT_HAS(error_at((folder_ / "shards/*").string()), "notes.txt: expected a .tsv, .csv or .jsonl");
  write("[1]*.tar", tar_of({{"1.png", ""}, {"1.txt", "its own name"}}));
  EXPECT_EQ(captions("[1]*.tar"), Captions{"its own name"});
}

TEST_F(Pairs, OfAFolderWhoseFirstListIsALoopComeFromTheOther) {
  write("a.png", "");
  fs::create_symlink("metadata.jsonl", folder_ / "metadata.jsonl");
  write("metadata.csv", "file_name,text\na.png,word\n");
  EXPECT_EQ(open_pairs(folder_.string())->captions(0), Captions{"word"});
  EXPECT_HAS(log_.text(), "metadata.jsonl: cannot look there");
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

TEST_F(Pairs, CountsJsonWithoutACaptionAsBadRecords) {
  write("a.png", "");
  EXPECT_EQ(bad_of("pairs.jsonl",
                   "{\"file_name\": \"a.png\", \"text\": [\"one\", \"\", null]}\n"
                   "{\"file_name\": \"b.png\", \"text\": null}\n"
                   "{\"file_name\": \"c.png\", \"text\": []}\n"
                   "{\"file_name\": \"d.png\", \"text\": NaN}\n"
                   "{\"file_name\": \"e.png\"}\n"),
            "pairs.jsonl:2: \"text\" is empty\n"
            "pairs.jsonl:3: \"text\" is empty\n"
            "pairs.jsonl:4: \"text\" must be a string or a list of strings, NaN is none\n"
            "pairs.jsonl:5: no \"text\"\n");
  EXPECT_EQ(open_pairs((folder_ / "pairs.jsonl").string())->captions(0), Captions{"one"});
}

TEST_F(Pairs, ReadsJsonAsPythonWritesIt) {
  write("a.png", "");
  for (const auto* more : {"NaN", "[Infinity, -Infinity]", "{\"b\": -Infinity}", "\"\\ud800\"", "\"a\\udfff\\ud800\"",
                           "1e999", "\"caf\xe9\"", "\"\xf0\x9f\x90\xb1\\ud83d\\udc31\""}) {
    const auto row = fmt::format(R"({{"file_name": "a.png", "score": {}, "text": "NaN, \u00e9 \ud83d\udc31"}})", more);
    const auto pairs = open_pairs(write("pairs.jsonl", row + "\n"));
    EXPECT_EQ(pairs->captions(0), Captions{"NaN, \xc3\xa9 \xf0\x9f\x90\xb1"}) << more;
    EXPECT_EQ(pairs->bad_records().size(), 0U);
  }
}

TEST_F(Pairs, FindsPicturesWhoseNamesAreNotUtf8) {
  const std::string name = "caf\xe9.png";
  write(name, "picture");
  // As os.listdir() names it and json.dumps() writes it; and as its bytes.
  for (const auto& row : {std::string(R"({"file_name": "caf\udce9.png", "text": "word"})"),
                          "{\"file_name\": \"" + name + "\", \"text\": \"word\"}"}) {
    EXPECT_EQ(text_of(open_pairs(write("a.jsonl", row))->read(0).image), "picture");
  }
  EXPECT_EQ(text_of(open_pairs(write("a.csv", "filepath,title\n" + name + ",word\n"))->read(0).image), "picture");
}

TEST_F(Pairs, CountsAMalformedJsonLineAndReadsTheOthers) {
  write("a.png", "");
  const std::string good = "{\"file_name\": \"a.png\", \"text\": \"one\"}\n";
  const auto bad = [&](const std::string& line) { return bad_of("a.jsonl", good + line + "\n" + good); };
  EXPECT_HAS(bad("{\"file_name\": \"b.png\""), "a.jsonl:2: not JSON: ");
  EXPECT_HAS(bad("{NaN: 1}"), "a.jsonl:2: not JSON: ");
  EXPECT_EQ(bad("[1]"), "a.jsonl:2: expected a JSON object, found array\n");
  EXPECT_EQ(bad("{\"text\": \"x\"}"), "a.jsonl:2: no string \"file_name\"\n");
  EXPECT_EQ(bad("{\"file_name\": 3, \"text\": \"x\"}"), "a.jsonl:2: no string \"file_name\"\n");
  EXPECT_HAS(bad("{\"file_name\": NaN, \"text\": \"x\"}"), "a.jsonl:2: no string \"file_name\"");
  EXPECT_HAS(bad("{\"file_name\": \"b.png\", \"text\": [1]}"), "must be a string or a list of strings");
  EXPECT_HAS(bad("{\"file_name\": \"b.png\", \"text\": \"\xff\"}"), "a.jsonl:2: \"text\" must be a string");
  EXPECT_HAS(bad("{\"file_name\": \"b.png\", \"text\": \"\\ud800\"}"), "a.jsonl:2: \"text\"");
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
