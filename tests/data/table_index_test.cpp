#include <atomic>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "data/pairs_fixture.hpp"
#include "data/sources/table_pairs.hpp"

namespace vlalign::test::table_index_test {
namespace {

using Source = std::shared_ptr<const PairSource>;
using Records = std::vector<std::pair<std::string, Captions>>;

constexpr TableOpening in_memory{.large = std::numeric_limits<std::int64_t>::max()};

int hashed = 0;
std::uint64_t counted_hash(std::string_view path) { return ++hashed, usual_path_hash(path); }
std::uint64_t equal_hash(std::string_view) { return 7; }
std::uint64_t last_letter(std::string_view path) { return std::uint64_t{0x0123456701234567} * (path.back() % 4U); }

constexpr TableOpening in_file{.large = 0, .hash = counted_hash};

/// A variable of the environment as long as this lives.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_); }

 private:
  void set(const std::optional<std::string>& value) const {
    value ? ::setenv(name_, value->c_str(), 1) : ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> before_;
};

Records records_of(const Source& pairs) {
  Records records;
  for (std::int64_t i = 0; i < pairs->size(); ++i) records.emplace_back(pairs->name(i), pairs->captions(i));
  return records;
}

class TableIndexFile : public Pairs {
 protected:
  void SetUp() override {
    Pairs::SetUp();
    cache_.emplace("XDG_CACHE_HOME", (folder_ / "cache").string());
    write("0.png", "picture");
  }

  std::vector<fs::path> index_files() const {
    std::vector<fs::path> files;
    const auto folder = folder_ / "cache/vlalign/tables";
    if (!fs::exists(folder)) return files;
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
    return files;
  }
  fs::path index_file() const {
    const auto files = index_files();
    EXPECT_EQ(files.size(), 1U);
    return files.front();
  }

  Source open(const std::string& file, const TableOpening& opening = in_file, const PairOptions& options = {}) const {
    return open_table(file, options, opening);
  }

  /// In memory, read from its beginning, and by the index that this left.
  std::vector<Source> open_in_every_way(const std::string& file) const {
    std::vector<Source> all{open(file, in_memory)};
    for (const auto& index : index_files()) fs::remove(index);
    all.push_back(open(file));
    hashed = 0;
    all.push_back(open(file));
    EXPECT_EQ(hashed, 0) << "the table was read again";
    return all;
  }

  std::string error_of_record(const Source& pairs, std::int64_t record) const {
    try {
      pairs->captions(record);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  std::optional<Variable> cache_;
};

/// Rows of random paths, captions and line ends, with what they are to give.
class RandomTable {
 public:
  RandomTable(const fs::path& folder, bool json, char separator, unsigned seed)
      : folder_(folder), json_(json), separator_(separator), random_(seed) {
    if (below(2) == 1) text_ = "\xef\xbb\xbf";
    if (!json) put(fmt::format("title{0}more{0}filepath", separator));
  }

  void add_rows(int count) {
    add("0.png");
    for (int i = 1; i < count; ++i) {
      const auto kind = below(40);
      if (kind == 0) {
        put(json_ ? R"({"file_name": "1.png"})" : "no columns"), ++bad_;
      } else if (kind == 1) {
        put("");
      } else {
        add(fmt::format("{}.png", below(2 * count / 3)));
      }
    }
  }

  const std::string& text() const { return text_; }
  const Records& records() const { return records_; }
  std::size_t bad() const { return bad_; }

 private:
  int below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }

  void add(const std::string& path) {
    const auto words =
        fmt::format("{} of {}{}", below(1000), std::string(below(50) == 0 ? 70'000 : below(60), 'x'), path);
    const auto found = places_.emplace(path, records_.size());
    if (found.second) records_.emplace_back((folder_ / path).string(), Captions());
    auto& captions = records_[found.first->second].second;
    if (json_) {
      captions.insert(captions.end(), {words, "\"caf\xc3\xa9\""});
      put(json{{"text", {words, "", "\"caf\xc3\xa9\""}}, {"file_name", path}}.dump());
    } else if (below(3) == 0) {
      captions.push_back(words + "\n\"" + separator_ + "\n\n");
      put(fmt::format("\"{0}{3}\"\"{1}\r\r\n\"{1}{1}{2}", words, separator_, path, below(2) == 0 ? "\n" : "\r\n"));
    } else {
      captions.push_back(words);
      put(fmt::format("{0}{1}\"\"{1}{2}", words, separator_, path));
    }
  }

  void put(const std::string& row) {
    constexpr const char* ends[] = {"\n", "\r\n", "\r"};
    text_ += row;
    text_ += row.empty() ? "\n\n" : ends[below(3)];
  }

  fs::path folder_;
  bool json_;
  char separator_;
  std::mt19937 random_;
  std::string text_;
  Records records_;
  std::map<std::string, std::size_t> places_;
  std::size_t bad_ = 0;
};

TEST_F(TableIndexFile, GivesTheRecordsThatWereWritten) {
  for (const auto* name : {"a.csv", "a.tsv", "a.jsonl"}) {
    for (unsigned seed = 0; seed < 4; ++seed) {
      SCOPED_TRACE(fmt::format("{} {}", name, seed));
      const bool json = std::string_view(name) == "a.jsonl";
      RandomTable table(folder_, json, std::string_view(name) == "a.csv" ? ',' : '\t', seed);
      table.add_rows(seed == 0 ? 2 : 700);
      for (const auto& pairs : open_in_every_way(write(name, table.text()))) {
        EXPECT_TRUE(records_of(pairs) == table.records());
        EXPECT_EQ(pairs->bad_records().size(), table.bad());
        EXPECT_EQ(text_of(pairs->read(0).image), "picture");
        EXPECT_TRUE(pairs->read(0).captions == table.records()[0].second);
      }
    }
  }
}

TEST_F(TableIndexFile, GivesHostileTablesAsMemoryDoes) {
  for (const auto* name : {"hostile.csv", "hostile.tsv", "hostile.jsonl"}) {
    SCOPED_TRACE(name);
    const auto all = open_in_every_way(write(name, read_text(fixtures / name)));
    for (const auto& pairs : all) {
      EXPECT_TRUE(records_of(pairs) == records_of(all.front()));
      EXPECT_EQ(pairs->bad_records(), all.front()->bad_records());
    }
  }
}

TEST_F(TableIndexFile, NamesBadRowsAsIfTheTableWereReadAgain) {
  std::string table = "filepath\ttitle\n";
  for (int i = 0; i < 400; ++i) table += i % 30 == 20 ? "a row\n" : fmt::format("{}.png\tword\n", i);
  const auto file = write("a.tsv", table);
  std::vector<std::string> logs;
  for (int i = 0; i < 2; ++i) {
    log_.clear();
    EXPECT_EQ(open(file)->bad_records().size(), 13U);
    logs.push_back(log_.text());
  }
  EXPECT_EQ(logs[0], logs[1]);
  EXPECT_HAS(logs[1], "a record is skipped: " + file + ":22: expected 2 columns, found 1");
  EXPECT_EQ(log_.count("a record is skipped"), 10);
  try {
    open(file, in_file, {.max_bad = 0.01});
    FAIL();
  } catch (const Error& error) {
    EXPECT_HAS(std::string(error.what()), "13 of 400 records could not be read");
  }
}

TEST_F(TableIndexFile, NamesBadRowsByTheNameThatTheTableIsOpenedBy) {
  const auto before = fs::current_path();
  write("a.tsv", "filepath\ttitle\n0.png\tword\nno row\n");
  fs::current_path(folder_);
  open((folder_ / "a.tsv").string());
  EXPECT_EQ(open("a.tsv")->bad_records(), std::vector<std::string>{"a.tsv:3: expected 2 columns, found 1"});
  EXPECT_EQ(index_files().size(), 1U);
  fs::current_path(before);
}

TEST_F(TableIndexFile, TellsPathsOfOneHashApart) {
  RandomTable table(folder_, false, ',', 5);
  table.add_rows(600);
  const auto file = write("a.csv", table.text());
  for (const auto hash : {equal_hash, last_letter}) {
    for (const auto large : {in_memory.large, std::int64_t{0}}) {
      for (const auto& index : index_files()) fs::remove(index);
      EXPECT_TRUE(records_of(open(file, {.large = large, .hash = hash})) == table.records());
    }
  }
}

TEST_F(TableIndexFile, GathersRowsThatAreFarApart) {
  constexpr int pictures = 5000;
  std::string table = "filepath\ttitle\n";
  for (int i = 0; i < 3 * pictures; ++i) table += fmt::format("{}.png\t{}\n", i * 7 % pictures, i);
  for (const auto& pairs : open_in_every_way(write("a.tsv", table))) {
    ASSERT_EQ(pairs->size(), pictures);
    for (int i = 0; i < pictures; ++i) {
      ASSERT_EQ(pairs->captions(i),
                (Captions{fmt::format("{}", i), fmt::format("{}", i + pictures), fmt::format("{}", i + 2 * pictures)}));
    }
  }
}

TEST_F(TableIndexFile, ReadsFieldsLongerThanAnyWindow) {
  const std::string text(3'000'000, 'x');
  const auto table = "filepath,title\n0.png,\"" + text + "\n\"\"" + text + "\"\n1.png," + text + "\n2.png,\"" + text +
                     "\n3.png,\"word\"\n4.png,\"never closed\n" + text + "\n";
  for (const auto& pairs : open_in_every_way(write("a.csv", table))) {
    ASSERT_EQ(pairs->size(), 3);
    EXPECT_TRUE(pairs->captions(0) == Captions{text + "\n\"" + text});
    EXPECT_TRUE(pairs->captions(1) == Captions{text});
    EXPECT_EQ(pairs->captions(2), Captions{"word"});
    EXPECT_EQ(pairs->bad_records().size(), 3U);
  }
}

TEST_F(TableIndexFile, IsMadeAgainWhereTheTableIsAnother) {
  const auto file = write("a.tsv", "filepath\ttitle\n0.png\tone\n");
  open(file);
  write("a.tsv", "filepath\ttitle\n0.png\ttwo\n");
  EXPECT_EQ(open(file)->captions(0), Captions{"two"});
  const auto changed = fs::last_write_time(file);
  write("a.tsv", "filepath\ttitle\n0.png\tsix\n");
  fs::last_write_time(file, changed);
  EXPECT_EQ(open(file)->captions(0), Captions{"six"});
  write("a.tsv", "filepath\ttitle\n0.png\ttwo\n1.png\tone\n");
  EXPECT_EQ(open(file)->size(), 2);
  EXPECT_EQ(index_files().size(), 1U);
}

TEST_F(TableIndexFile, IsOfTheOptionsThatTheTableWasOpenedWith) {
  const auto file = write("a.csv", "filepath,title,words\n0.png,one,two\n");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(open(file)->captions(0), Captions{"one"});
    EXPECT_EQ(open(file, in_file, {.caption_key = "words"})->captions(0), Captions{"two"});
    EXPECT_EQ(open(file, in_file, {.separator = ','})->captions(0), Captions{"one"});
  }
  EXPECT_EQ(index_files().size(), 3U);
}

TEST_F(TableIndexFile, IsNotKeptOfSmallTables) {
  const auto pairs = open_pairs(write("a.tsv", "filepath\ttitle\n0.png\tword\n"));
  EXPECT_TRUE(index_files().empty());
  write("a.tsv", "gone");
  EXPECT_EQ(pairs->captions(0), Captions{"word"});
}

TEST_F(TableIndexFile, OfATableThatIsWrittenToGivesAnError) {
  const std::string table = "filepath\ttitle\n0.png\tone\n1.png\ttwo\n";
  for (const std::string& after : {table + "2.png\tmore\n", std::string("filepath\ttitle\n9.png\tone\n1.png\tsix\n"),
                                   table.substr(0, 30), std::string()}) {
    SCOPED_TRACE(after);
    const auto file = write("a.tsv", table);
    fs::last_write_time(file, fs::last_write_time(file) - std::chrono::seconds(5));
    const auto pairs = open(file);
    write("a.tsv", after);
    EXPECT_EQ(error_of_record(pairs, 1),
              "[pairs] record 1: " + file + ": was changed while it was open; open it again");
    EXPECT_THROW(pairs->name(0), Error);
    EXPECT_THROW(pairs->read(0), Error);
  }
}

TEST_F(TableIndexFile, OfATableWithOtherRowsAndTheOldTimeGivesAnError) {
  const auto filler = "filepath\ttitle\n0.png\tword\n2.png\t" + std::string(100'000, 'x') + "\n";  // isn't read at once
  const auto file = write("a.tsv", filler + "0.png\tone\n1.png\ttwo\n");
  const auto pairs = open(file);
  const auto changed = fs::last_write_time(file);
  write("a.tsv", filler + "0.png\tone or\n12\ttwo\n");
  fs::last_write_time(file, changed);
  EXPECT_HAS(error_of_record(pairs, 2),
             fmt::format("[pairs] record 2: {}: no row at byte {} as there was", file, filler.size() + 10));
}

TEST_F(TableIndexFile, OfATableWhoseNameAnotherTakesReadsTheOneThatWasOpened) {
  const auto file = write("a.tsv", "filepath\ttitle\n0.png\tone\n");
  const auto pairs = open(file);
  fs::rename(write("b.tsv", "filepath\ttitle\n0.png\ttwo\n"), file);
  EXPECT_EQ(pairs->captions(0), Captions{"one"});
  EXPECT_EQ(open(file)->captions(0), Captions{"two"});
}

/// Whatever byte of the file is another: the same records, or an error that names the file.
TEST_F(TableIndexFile, WithDamageNeverGivesOtherRecords) {
  std::string table = "filepath\ttitle\n";
  for (int i = 0; i < 12; ++i) table += fmt::format("{}.png\tword {}\n", i % 9, i);
  const auto file = write("a.tsv", table + "no row\n");
  const auto expected = records_of(open(file));
  const auto bad = open(file)->bad_records();
  const auto index = index_file();
  const auto whole = read_text(index);
  int errors = 0;
  for (std::size_t at = 0; at < whole.size(); at += 3) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    std::ofstream(index, std::ios::binary) << damaged;
    try {
      const auto pairs = open(file);
      ASSERT_TRUE(records_of(pairs) == expected) << at;
      ASSERT_EQ(pairs->bad_records(), bad) << at;
      ASSERT_TRUE(read_text(index) == whole) << at;
    } catch (const Error& error) {
      ++errors;
      EXPECT_HAS(std::string(error.what()), index.string() + ": this index of a table is damaged");
    }
  }
  EXPECT_EQ(errors, 8 * (9 + 3 + 3 + 3) / 3);  // a third of the words' bytes
}

TEST_F(TableIndexFile, CutOffAnywhereIsMadeAgain) {
  const auto file = write("a.tsv", "filepath\ttitle\n0.png\tone\n0.png\ttwo\n1.png\tsix\nno row\n");
  open(file);
  const auto index = index_file();
  const auto whole = read_text(index);
  for (std::size_t size = 0; size < whole.size(); size += 5) {
    fs::resize_file(index, size);
    ASSERT_EQ(open(file)->captions(0), (Captions{"one", "two"})) << size;
    ASSERT_TRUE(read_text(index) == whole) << size;
  }
  std::ofstream(index, std::ios::binary | std::ios::app) << "more";
  EXPECT_EQ(open(file)->captions(1), Captions{"six"});
  EXPECT_TRUE(read_text(index) == whole);
}

TEST_F(TableIndexFile, ThatCannotBeWrittenCostsOneWarning) {
  const auto file = write("a.tsv", "filepath\ttitle\n0.png\tone\n1.png\ttwo\n");
  const auto works_with_a_warning = [&] {
    log_.clear();
    const auto pairs = open(file);
    EXPECT_EQ(all_captions(pairs), (Captions{"one", "two"}));
    EXPECT_EQ(log_.warnings(), 1U) << log_.text();
    EXPECT_HAS(log_.text(), file + ": what was found in this large table is not kept");
  };
  const Variable no_folder("XDG_CACHE_HOME", file);
  works_with_a_warning();
  const Variable none("XDG_CACHE_HOME", std::nullopt);
  const Variable no_home("HOME", std::nullopt);
  works_with_a_warning();
  const Variable home("HOME", (folder_ / "home").string());
  log_.clear();
  open(file);
  EXPECT_EQ(log_.text(), "");
  EXPECT_TRUE(fs::is_directory(folder_ / "home/.cache/vlalign/tables"));
}

TEST_F(TableIndexFile, IsReadBySeveralThreads) {
  RandomTable table(folder_, false, '\t', 11);
  table.add_rows(3000);
  const auto file = write("a.tsv", table.text());
  const auto& expected = table.records();
  for (const auto& pairs : open_in_every_way(file)) {
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(t);
        for (int i = 0; i < 3000; ++i) {
          const auto record = t == 0 ? static_cast<std::size_t>(i) % expected.size() : random() % expected.size();
          if (pairs->captions(static_cast<std::int64_t>(record)) != expected[record].second) ++wrong;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

}  // namespace
}  // namespace vlalign::test::table_index_test
