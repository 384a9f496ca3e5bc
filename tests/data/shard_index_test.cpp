#include <fmt/format.h>

#include <chrono>
#include <set>

#include "data/pairs_fixture.hpp"
#include "data/tar_of.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/sources/index.hpp"

namespace vlalign::test::shard_index_test {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

/// Three shards of some records, in folder_ / "shards".
class ShardIndexTest : public Pairs {
 protected:
  void SetUp() override {
    Pairs::SetUp();
    fs::create_directory(folder_ / "shards");
    for (int shard = 0; shard < 3; ++shard) write_shard(shard, 4 + shard);
  }

  void write_shard(int shard, int records, const std::string& picture = "picture") const {
    Members members;
    for (int i = 0; i < records; ++i) {
      members.emplace_back(fmt::format("{}-{}.jpg", shard, i), fmt::format("{} {} {}", picture, shard, i));
      members.emplace_back(fmt::format("{}-{}.txt", shard, i), fmt::format("caption {} {}", shard, i));
    }
    write(fmt::format("shards/{}.tar", shard), tar_of(members));
  }

  std::string shards() const { return (folder_ / "shards/{0..2}.tar").string(); }
  std::string index_file() const { return (folder_ / "shards/vlalign-index.json").string(); }
  void change_byte(const std::string& file, std::string_view of, char to) const {
    auto bytes = read_text(folder_ / file);
    bytes[bytes.find(of)] = to;
    write(file, bytes);
  }

  void expect_all(const PairSource& pairs) const {
    ASSERT_EQ(pairs.size(), 4 + 5 + 6);
    std::int64_t record = 0;
    for (int shard = 0; shard < 3; ++shard) {
      for (int i = 0; i < 4 + shard; ++i, ++record) {
        const auto pair = pairs.read(record);
        EXPECT_TRUE(pair.name.ends_with(fmt::format("{0}.tar:{0}-{1}", shard, i))) << pair.name;
        EXPECT_EQ(text_of(pair.image), fmt::format("picture {} {}", shard, i));
        EXPECT_EQ(pairs.captions(record), Captions{fmt::format("caption {} {}", shard, i)});
      }
    }
  }
};

std::string error_when_read(const PairSource& pairs, std::int64_t record) {
  try {
    pairs.read(record);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(ShardIndexTest, GivesTheSameRecordsAsTheShards) {
  const auto made = index_pairs(shards());
  EXPECT_EQ(made.shards, 3);
  EXPECT_EQ(made.records, 15);
  EXPECT_EQ(made.bad, 0);
  EXPECT_EQ(made.file, index_file());
  std::int64_t bytes = 0;
  for (int shard = 0; shard < 3; ++shard)
    bytes += static_cast<std::int64_t>(fs::file_size(folder_ / fmt::format("shards/{}.tar", shard)));
  EXPECT_EQ(made.bytes, bytes);
  expect_all(*open_pairs(index_file()));
  expect_all(*open_pairs(shards()));
  EXPECT_EQ(open_pairs(index_file())->fingerprint(), open_pairs(shards())->fingerprint());
  EXPECT_EQ(log_.text(), "");
}

TEST_F(ShardIndexTest, GoesWithItsShardsToAnotherPlace) {
  const auto before = open_pairs(shards())->fingerprint();
  index_pairs(shards());
  fs::rename(folder_ / "shards", folder_ / "elsewhere");
  const auto moved = open_pairs((folder_ / "elsewhere/vlalign-index.json").string());
  expect_all(*moved);
  EXPECT_EQ(moved->fingerprint(), before);
}

TEST_F(ShardIndexTest, NamesShardsElsewhereByTheirWholePath) {
  fs::create_directory(folder_ / "indexes");
  index_pairs(shards(), {.out = folder_ / "indexes/mine.json"});
  expect_all(*open_pairs((folder_ / "indexes/mine.json").string()));
}

TEST_F(ShardIndexTest, FindsBytesThatHaveChangedSince) {
  index_pairs(shards());
  change_byte("shards/1.tar", "picture 1 2", 'P');
  const auto pairs = open_pairs(index_file());
  EXPECT_HAS(error_when_read(*pairs, 4 + 2), "1.tar:1-2: its bytes are not those that were indexed");
  EXPECT_EQ(text_of(pairs->read(4 + 3).image), "picture 1 3");
}

TEST_F(ShardIndexTest, ReadsAShardAgainThatHasAnotherSize) {
  index_pairs(shards());
  write_shard(1, 9);
  const auto pairs = open_pairs(shards());
  EXPECT_EQ(pairs->size(), 4 + 9 + 6);
  EXPECT_EQ(log_.count("1.tar: has changed since it was indexed"), 1);
  EXPECT_EQ(text_of(pairs->read(4 + 8).image), "picture 1 8");
}

/// Bytes of shards that an index_pairs() reads.
std::int64_t bytes_read(const std::string& location) {
  std::int64_t all = 0;
  index_pairs(location,
              {.progress = [&](std::int64_t, std::int64_t, std::int64_t bytes) { all = std::max(all, bytes); }});
  return all;
}

TEST_F(ShardIndexTest, ReadsNoShardTwice) {
  EXPECT_GT(bytes_read((folder_ / "shards/{0..1}.tar").string()), 0);
  const auto third = static_cast<std::int64_t>(fs::file_size(folder_ / "shards/2.tar"));
  EXPECT_EQ(bytes_read(shards()), third);
  EXPECT_EQ(bytes_read(shards()), 0);
}

TEST_F(ShardIndexTest, KnowsShardsThatWereOpenedBefore) {
  expect_all(*open_pairs(shards()));
  const auto kept = fs::recursive_directory_iterator(cache_ / "vlalign/shards");
  EXPECT_EQ(std::count_if(begin(kept), end(kept), [](const auto& file) { return file.is_regular_file(); }), 3);
  expect_all(*open_pairs(shards()));
  for (const auto& file : fs::recursive_directory_iterator(cache_ / "vlalign/shards"))
    if (file.is_regular_file()) fs::resize_file(file.path(), file.file_size() / 2);
  expect_all(*open_pairs(shards()));  // from the shards
}

TEST_F(ShardIndexTest, WorksWithoutAPlaceForTheCache) {
  ::setenv("XDG_CACHE_HOME", write("file", "in its place").c_str(), 1);
  expect_all(*open_pairs(shards()));
  EXPECT_EQ(log_.count("can't be kept for the next time"), 1);
}

TEST_F(ShardIndexTest, CountsBadRecordsAndKeepsThemOut) {
  write("shards/0.tar", tar_of({{"a.jpg", "A"}, {"b.jpg", "B"}, {"b.txt", "of b"}, {"c.txt", "of c"}}));
  const auto made = index_pairs((folder_ / "shards/0.tar").string());
  EXPECT_EQ(made.records, 1);
  EXPECT_EQ(made.bad, 2);
  const auto pairs = open_pairs(index_file());
  ASSERT_EQ(pairs->size(), 1);
  EXPECT_EQ(text_of(pairs->read(0).image), "B");
  ASSERT_EQ(pairs->bad_records().size(), 2U);
  EXPECT_HAS(pairs->bad_records()[0], "0.tar:a: has no caption");
  EXPECT_HAS(pairs->bad_records()[1], "0.tar:c: has no picture");
}

TEST_F(ShardIndexTest, IsWrittenOverAnIndexAlone) {
  write("notes.json", "{\"mine\": 1}");
  const auto error = [&](const fs::path& out) {
    try {
      index_pairs(shards(), {.out = out});
    } catch (const Error& failed) {
      return std::string(failed.what());
    }
    return std::string("nothing was thrown");
  };
  EXPECT_HAS(error(folder_ / "notes.json"), "is no index of shards");
  EXPECT_EQ(read_text(folder_ / "notes.json"), "{\"mine\": 1}");
  EXPECT_HAS(error(folder_ / "none/index.json"), "none");
  index_pairs(shards());
  write_shard(0, 5);
  index_pairs(shards());
  std::set<std::string> files;
  for (const auto& file : fs::directory_iterator(folder_ / "shards")) files.insert(file.path().extension().string());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "shards"), {}), 3 + 2);  // the old tables are gone
  EXPECT_EQ(files, (std::set<std::string>{".tar", ".json", ".tables"}));
}

TEST_F(ShardIndexTest, RefusesWhatIsNone) {
  EXPECT_HAS(error_of("a.json", "{\"a\": 1}"), "a.json: is no index of shards");
  EXPECT_HAS(error_of("b.json", "[]"), "b.json: is no index of shards");
  EXPECT_HAS(error_of("c.json", "{"), "c.json: not JSON");
  EXPECT_HAS(error_of("d.json", "{\"vlalign_index\": 9}"), "another version");
  index_pairs(shards());
  auto index = read_json(index_file());
  index["records"][1] = "many";
  EXPECT_HAS(error_of("e.json", index.dump()), "\"records\"");
  index["records"].erase(1);
  EXPECT_HAS(error_of("f.json", index.dump()), "\"records\" to be a list with an entry a shard");
}

TEST_F(ShardIndexTest, TrustsNoNumbersAndNamesOfAnIndex) {
  index_pairs(shards());
  const auto whole = read_json(index_file());
  const auto error_with = [&](const std::string& key, const json& value) {
    auto index = whole;
    index[key] = value;
    return error_of("shards/a.json", index.dump());
  };
  EXPECT_HAS(error_with("records", {-1, 5, 6}), "whole numbers of 0 or more in \"records\"");
  EXPECT_HAS(error_with("records", {std::int64_t{1} << 62, 5, 6}), "\"records\"");
  EXPECT_HAS(error_with("bad", {-1, 0, 0}), "\"bad\"");
  EXPECT_HAS(error_with("table_bytes", {1, 2, -5}), "\"table_bytes\"");
  EXPECT_HAS(error_with("table_bytes", {1, 2, 3}), "6 are expected");
  EXPECT_HAS(error_with("tables", "none.tables"), "none.tables");
  EXPECT_HAS(error_with("shards", {"pipe:touch " + (folder_ / "made").string(), "1.tar", "2.tar"}), "is a command");
  EXPECT_FALSE(fs::exists(folder_ / "made"));
  EXPECT_HAS(error_of("none.json", R"({"vlalign_index": 1, "shards": []})"), "names no shards");
  EXPECT_HAS(error_of("wids.json", R"({"shardlist": []})"), "names no shards");
  EXPECT_HAS(error_of("pipe.json", R"({"shardlist": [{"url": "pipe:echo", "nsamples": 1}]})"), "is a command");
  EXPECT_HAS(error_of("many.json", R"({"a.tar": 4611686018427387904})"), "how many records");
}

TEST_F(ShardIndexTest, ReadsAChangedShardAgainWhenItIsIndexedAgain) {
  index_pairs(shards());
  change_byte("shards/1.tar", "picture 1 2", 'P');
  fs::last_write_time(folder_ / "shards/1.tar", fs::file_time_type::clock::now() + std::chrono::seconds(5));
  index_pairs(shards());
  EXPECT_EQ(text_of(open_pairs(index_file())->read(4 + 2).image), "Picture 1 2");
}

TEST_F(ShardIndexTest, KeepsAnIndexOfOtherShards) {
  index_pairs(shards());
  const auto before = read_text(index_file());
  try {
    index_pairs((folder_ / "shards/{0..1}.tar").string());
    FAIL();
  } catch (const Error& error) {
    EXPECT_HAS(std::string(error.what()), "is an index of 1 shards that aren't among these");
  }
  EXPECT_EQ(read_text(index_file()), before);
}

TEST_F(ShardIndexTest, SaysThatAConditionTakesNone) {
  const auto shard = write("a.tar", tar_of({{"1.jpg", "x"}, {"1.json", R"({"n": 1, "caption": "c"})"}}));
  EXPECT_HAS(error_at(shard, {.where = "n > 1"}), "none of its records is taken: where n > 1");
}

TEST_F(ShardIndexTest, FindsDamagedTables) {
  index_pairs(shards());
  for (const auto& file : fs::directory_iterator(folder_ / "shards")) {
    if (file.path().extension() != ".tables") continue;
    auto bytes = read_text(file.path());
    bytes[bytes.size() - 3] ^= 1;
    std::ofstream(file.path(), std::ios::binary) << bytes;
  }
  const auto pairs = open_pairs(index_file());
  EXPECT_HAS(error_when_read(*pairs, 14), "is damaged");
  EXPECT_EQ(text_of(pairs->read(0).image), "picture 0 0");
}

// Counts of others are taken as they are: here they are wrong on purpose, to be told from ours.
TEST_F(ShardIndexTest, UsesTheCountsOfOtherPrograms) {
  const auto size_with = [&](const std::string& name, const std::string& contents) {
    const auto file = write("shards/" + name, contents);
    const auto size = open_pairs(shards())->size();
    fs::remove(file);
    return size;
  };
  EXPECT_EQ(size_with("sizes.json", R"({"0.tar": 2, "1.tar": 3, "2.tar": 1})"), 6);
  const auto wids = R"({"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": [
      {"url": "0.tar", "nsamples": 1}, {"url": "1.tar", "nsamples": 1}, {"url": "2.tar", "nsamples": 2}]})";
  EXPECT_EQ(size_with("index.json", wids), 4);
  EXPECT_EQ(open_pairs(write("shards/any-name.json", wids))->size(), 4);
  EXPECT_EQ(size_with("sizes.json", R"({"0.tar": 2})"), 15);  // not all
  EXPECT_EQ(size_with("sizes.json", "{"), 15);
  EXPECT_EQ(log_.count("it is not used"), 1);
  for (int shard = 0; shard < 3; ++shard)
    write(fmt::format("shards/{}.idx", shard), fmt::format("v1.2 {}\njpg 512 11 a.jpg txt 1536 9 a.txt\n", shard + 1));
  EXPECT_EQ(open_pairs(shards())->size(), 6);
  for (int shard = 0; shard < 3; ++shard)
    write(fmt::format("shards/{}_stats.json", shard), R"({"count": 10, "successes": 1, "failed_to_download": 2})");
  EXPECT_EQ(open_pairs(shards())->size(), 3);
}

TEST_F(ShardIndexTest, ReadsWhatACountPromisesAndNamesWhatItLacks) {
  write("shards/sizes.json", R"({"0.tar": 4, "1.tar": 7, "2.tar": 6})");
  const auto pairs = open_pairs(shards());
  ASSERT_EQ(pairs->size(), 17);
  EXPECT_EQ(text_of(pairs->read(4 + 4).image), "picture 1 4");
  EXPECT_HAS(error_when_read(*pairs, 4 + 5), "1.tar: has 5 records, the index beside it says 7");
  EXPECT_HAS(pairs->name(4 + 5), "1.tar:#5");
  EXPECT_EQ(text_of(pairs->read(4 + 7).image), "picture 2 0");
}

TEST_F(ShardIndexTest, TakesShardsFromACommand) {
  const auto pairs = open_pairs("pipe:cat " + (folder_ / "shards").string() + "/{0..2}.tar");
  ASSERT_EQ(pairs->size(), 15);
  EXPECT_EQ(text_of(pairs->read(14).image), "picture 2 5");
  EXPECT_EQ(open_pairs("pipe:gzip -c " + (folder_ / "shards/0.tar").string())->size(), 4);
  EXPECT_HAS(error_at("pipe:exit 3"), "pipe:exit 3: the command failed, with exit status 3");
  EXPECT_HAS(error_at("pipe:head -c 700 " + (folder_ / "shards/0.tar").string()), "is not a whole tar file");
}

TEST_F(ShardIndexTest, MixesSourcesByTheirWeights) {
  const auto at = [&](int shard) { return (folder_ / fmt::format("shards/{}.tar", shard)).string(); };
  const auto pairs = open_pairs(at(0) + "@2::" + at(1) + "@0.5::" + at(2));
  ASSERT_EQ(pairs->size(), 15);
  const auto runs = pairs->runs();
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].weight, 2.0);
  EXPECT_EQ(runs[1].weight, 0.5);
  EXPECT_EQ(runs[2].weight, 1.0);
  EXPECT_EQ(runs[2].records, 6);
  EXPECT_NE(pairs->fingerprint(), open_pairs(at(0) + "::" + at(1) + "::" + at(2))->fingerprint());
  for (const auto* weight : {"0", "-1", "1e9", "nan", "inf"})
    EXPECT_HAS(error_at(at(0) + "@" + weight), "expected a weight above 0") << weight;
  write("a@2", "no shard");
  EXPECT_HAS(error_at((folder_ / "a@2").string()), "a@2: expected");  // a file of this name
}

TEST_F(ShardIndexTest, ChoosesRecordsAndCaptions) {
  Members members;
  for (int i = 0; i < 6; ++i) {
    members.emplace_back(fmt::format("{}.jpg", i), fmt::format("picture {}", i));
    members.emplace_back(fmt::format("{}.txt", i), "not this");
    members.emplace_back(
        fmt::format("{}.json", i),
        json{{"similarity", i / 10.0}, {"caption", "short"}, {"long", {"one long", "another long"}}}.dump());
  }
  const auto shard = write("a.tar", tar_of(members));
  const auto chosen = open_pairs(shard, {.where = "similarity >= 0.3"});
  ASSERT_EQ(chosen->size(), 3);
  EXPECT_EQ(text_of(chosen->read(0).image), "picture 3");
  EXPECT_EQ(chosen->captions(0), Captions{"not this"});
  EXPECT_EQ(open_pairs(shard)->size(), 6);  // the choice isn't taken for the whole
  EXPECT_TRUE(chosen->bad_records().empty());
  EXPECT_HAS(error_at(shard, {.where = "similarity >"}), "where");
  EXPECT_HAS(error_at(shard, {.where = "similarity > 5"}), "none of its records is taken");

  const auto keyed = open_pairs(shard, {.caption_keys = {{"caption", 1}, {"long", 3}}});
  EXPECT_EQ(keyed->captions(0), (Captions{"short", "one long", "another long"}));
  int shorts = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    Rng rng({i});
    shorts += keyed->draw_caption(0, rng) == "short";
  }
  EXPECT_NEAR(shorts, 1000, 150);  // a quarter
  EXPECT_NE(keyed->fingerprint(), open_pairs(shard, {.caption_keys = {{"caption", 1}, {"long", 2}}})->fingerprint());
}

TEST_F(ShardIndexTest, IsUsedForTheChoiceItWasMadeFor) {
  Members members;
  for (int i = 0; i < 4; ++i) {
    members.emplace_back(fmt::format("{}.jpg", i), "x");
    members.emplace_back(fmt::format("{}.json", i), json{{"n", i}, {"caption", "c"}}.dump());
  }
  fs::create_directory(folder_ / "chosen");
  const auto shard = write("chosen/a.tar", tar_of(members));
  const auto made = index_pairs(shard, {.pairs = {.where = "n > 1"}});
  EXPECT_EQ(made.records, 2);
  EXPECT_EQ(open_pairs(made.file.string(), {.where = "n > 1"})->size(), 2);
  EXPECT_EQ(open_pairs(shard)->size(), 4);
  EXPECT_HAS(error_at(made.file.string()), "is an index of chosen records: where n > 1");
  const auto all = index_pairs(shard, {.out = folder_ / "all.json"}).file.string();
  EXPECT_EQ(open_pairs(all, {.where = "n > 2"})->size(), 1);  // from the shards
}

}  // namespace
}  // namespace vlalign::test::shard_index_test
