// Shards behind HTTP, and what a bad line does to them: counted exactly, never a wrong record.
#include <fmt/format.h>

#include <atomic>
#include <set>
#include <string>

#include "core/fingerprint.hpp"
#include "data/pairs_fixture.hpp"
#include "data/tar_of.hpp"
#include "remote/remote_options.hpp"
#include "support/file_server.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/data/sources/index.hpp"

namespace vlalign::test::remote_shards_test {
namespace {

class RemoteShards : public Pairs {
 protected:
  static constexpr int shards = 6, records = 20;

  void SetUp() override {
    Pairs::SetUp();
    ::setenv("no_proxy", "*", 1);
    set_remote_options({.timeout_s = 1, .attempts = 4, .first_wait_s = 0.01});
    for (int shard = 0; shard < shards; ++shard) {
      std::vector<std::pair<std::string, std::string>> members;
      for (int i = 0; i < records; ++i) {
        members.emplace_back(fmt::format("{}-{}.jpg", shard, i), picture(shard, i));
        members.emplace_back(fmt::format("{}-{}.txt", shard, i), fmt::format("caption {} {}", shard, i));
      }
      server_.put(fmt::format("/{}.tar", shard), {.bytes = tar_of(members)});
      write(fmt::format("{}.tar", shard), tar_of(members));
    }
  }
  void TearDown() override {
    set_remote_options({});
    Pairs::TearDown();
  }

  static std::string picture(int shard, int i) {
    return fmt::format("picture {} {} ", shard, i) + std::string(static_cast<std::size_t>(3000 + 100 * i), 'p');
  }

  std::string local() const { return (folder_ / "{0..5}.tar").string(); }
  std::string remote() const { return server_.url("/{0..5}.tar"); }
  PairOptions with_cache(const std::string& name) const { return {.cache = cache_ / name}; }

  /// Puts the index, made here of the local shards, beside the remote ones.
  void publish_index() {
    const auto file = index_pairs(local()).file;
    server_.put("/vlalign-index.json", {.bytes = read_text(file)});
    for (const auto& other : fs::directory_iterator(folder_))
      if (other.path().extension() == ".tables")
        server_.put("/" + other.path().filename().string(), {.bytes = read_text(other.path())});
  }

  /// How many records were read as they are, and how many were refused; none may be another's.
  struct Outcome {
    int good = 0, refused = 0;
  };
  Outcome read_all(const PairSource& pairs) const {
    Outcome outcome;
    std::vector<std::int64_t> all(static_cast<std::size_t>(pairs.size()));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
    pairs.expect(all);
    pairs.read_ahead(all);
    for (const auto record : all) {
      const auto shard = static_cast<int>(record) / records, i = static_cast<int>(record) % records;
      try {
        const auto pair = pairs.read(record);
        EXPECT_EQ(text_of(pair.image), picture(shard, i));
        EXPECT_EQ(pair.captions, Captions{fmt::format("caption {} {}", shard, i)});
        ++outcome.good;
      } catch (const Error& error) {
        EXPECT_HAS(std::string(error.what()), fmt::format("{}.tar", shard));
        ++outcome.refused;
      }
    }
    return outcome;
  }

  FileServer server_;
};

TEST_F(RemoteShards, GiveTheRecordsOfTheSameShardsHere) {
  const auto here = open_pairs(local());
  const auto there = open_pairs(remote(), with_cache("a"));
  ASSERT_EQ(there->size(), shards * records);
  EXPECT_EQ(there->fingerprint(), here->fingerprint());
  EXPECT_EQ(read_all(*there).good, shards * records);
  publish_index();
  const auto indexed = open_pairs(remote(), with_cache("b"));
  EXPECT_EQ(indexed->fingerprint(), here->fingerprint());
  EXPECT_EQ(read_all(*indexed).good, shards * records);
  EXPECT_EQ(open_pairs(server_.url("/vlalign-index.json"), with_cache("b"))->size(), shards * records);
}

TEST_F(RemoteShards, OpenWithoutAByteOfTheShardsWhereThereIsAnIndex) {
  publish_index();
  const auto pairs = open_pairs(remote(), with_cache("a"));
  EXPECT_EQ(pairs->size(), shards * records);
  for (int shard = 0; shard < shards; ++shard) EXPECT_EQ(server_.count("GET", fmt::format("/{}.tar", shard)), 0);
}

TEST_F(RemoteShards, AreReadWhateverGoesWrongOnTheWayForAWhile) {
  publish_index();
  const std::vector<std::pair<std::string, FileServer::Fault>> faults{
      {"cut", [](const HttpCall&, HttpReply& reply) { reply.cut_after = 100; }},
      {"busy", [](const HttpCall&, HttpReply& reply) { reply = {.status = 503}; }},
      {"broken", [](const HttpCall&, HttpReply& reply) { reply = {.status = 500}; }},
      {"flipped", [](const HttpCall&, HttpReply& reply) {
         if (reply.body.size() > 400) reply.body[300] ^= 4;
       }}};
  for (const auto& [name, fault] : faults) {
    SCOPED_TRACE(name);
    const auto pairs = open_pairs(remote(), with_cache(name));
    server_.plant(fault, 5);
    const auto outcome = read_all(*pairs);
    EXPECT_EQ(outcome.good, shards * records);
    EXPECT_EQ(outcome.refused, 0);
  }
}

TEST_F(RemoteShards, LoseTheRecordsOfAShardThatIsGone) {
  publish_index();
  for (const int status : {403, 404, 500}) {
    SCOPED_TRACE(status);
    const auto pairs = open_pairs(remote(), with_cache(std::to_string(status)));
    server_.change_all([&](const HttpCall& call, HttpReply& reply) {
      if (call.path() == "/2.tar") reply = {.status = status};
    });
    const auto outcome = read_all(*pairs);
    EXPECT_EQ(outcome.good, (shards - 1) * records);
    EXPECT_EQ(outcome.refused, records);
    server_.change_all({});
  }
}

TEST_F(RemoteShards, LoseTheRecordsWhoseBytesStayWrong) {
  publish_index();
  const auto pairs = open_pairs(remote(), with_cache("a"));
  const auto file = read_text(folder_ / "3.tar");
  auto damaged = file;
  damaged[damaged.find("picture 3 7 ")] = 'P';
  damaged[damaged.find("caption 3 9")] = 'C';
  server_.put("/3.tar", {.bytes = damaged});
  const auto outcome = read_all(*pairs);
  EXPECT_EQ(outcome.good, shards * records - 2);
  EXPECT_EQ(outcome.refused, 2);
}

TEST_F(RemoteShards, NameAShardThatIsAnotherNow) {
  publish_index();
  const auto pairs = open_pairs(remote(), with_cache("a"));
  server_.put("/1.tar", {.bytes = read_text(folder_ / "0.tar") + std::string(512, '\0'), .etag = "\"two\""});
  const auto outcome = read_all(*pairs);
  EXPECT_EQ(outcome.refused, records);
  EXPECT_EQ(outcome.good, (shards - 1) * records);
}

TEST_F(RemoteShards, AreReadWholeFromAServerWithoutRanges) {
  // Larger than what is read over to get to a record.
  std::vector<std::pair<std::string, std::string>> members;
  for (int i = 0; i < records; ++i) {
    members.emplace_back(fmt::format("0-{}.jpg", i), std::string(1 << 20, static_cast<char>('a' + i)));
    members.emplace_back(fmt::format("0-{}.txt", i), fmt::format("caption 0 {}", i));
  }
  write("0.tar", tar_of(members));
  server_.put("/0.tar", {.bytes = tar_of(members)});
  publish_index();
  server_.change_all([this](const HttpCall& call, HttpReply& reply) {
    if (reply.status != 206 || call.path() != "/0.tar") return;
    reply.status = 200;
    reply.headers.erase("Content-Range");
    reply.body = read_text(folder_ / "0.tar");
  });
  for (const double gigabytes : {1.0, 0.001}) {
    auto options = with_cache(std::to_string(gigabytes));
    options.cache_gb = gigabytes;
    const auto pairs = open_pairs(server_.url("/0.tar"), options);
    for (std::int64_t i = records - 1; i >= 0; --i)
      EXPECT_EQ(text_of(pairs->read(i).image), std::string(1 << 20, static_cast<char>('a' + i))) << i;
  }
}

TEST_F(RemoteShards, MayBeCompressedWhateverTheirName) {
  const auto tar = folder_ / "zipped.tar";
  ASSERT_EQ(std::system(fmt::format("gzip -c {} > {}", (folder_ / "2.tar").string(), tar.string()).c_str()), 0);
  server_.put("/zipped.tar", {.bytes = read_text(tar)});
  const auto pairs = open_pairs(server_.url("/zipped.tar"), with_cache("a"));
  ASSERT_EQ(pairs->size(), records);
  EXPECT_EQ(text_of(pairs->read(5).image), picture(2, 5));
}

TEST_F(RemoteShards, AreIndexedAgainBesideTheirIndex) {
  publish_index();
  const auto out = folder_ / "again.json";
  EXPECT_EQ(index_pairs(remote(), {.out = out, .pairs = with_cache("a")}).records, shards * records);
  EXPECT_EQ(read_all(*open_pairs(out.string(), with_cache("b"))).good, shards * records);
}

TEST_F(RemoteShards, OfAnIndexElsewhereAreNoFilesOfThisMachine) {
  server_.put("/evil.json", {.bytes = R"({"shardlist": [{"url": "/etc/hostname.tar", "nsamples": 1}]})"});
  EXPECT_HAS(error_at(server_.url("/evil.json"), with_cache("a")), "is a file of this machine");
}

TEST_F(RemoteShards, OfAHostThatNobodyKnowsSaySoEachTime) {
  set_remote_options({.timeout_s = 5, .attempts = 2, .first_wait_s = 0.01});
  for (int i = 0; i < 2; ++i)
    EXPECT_HAS(error_at("http://no-such-host.invalid/a.tar", with_cache("a")), "Could not resolve host") << i;
}

TEST_F(RemoteShards, DontHangOnAServerThatSendsNothing) {
  publish_index();
  set_remote_options({.timeout_s = 0.2, .attempts = 2, .first_wait_s = 0.01});
  const auto pairs = open_pairs(remote(), with_cache("a"));
  server_.change_all([](const HttpCall& call, HttpReply& reply) {
    if (call.path() == "/4.tar") reply.stall_after = 0;
  });
  EXPECT_EQ(read_all(*pairs).refused, records);
}

TEST_F(RemoteShards, AreToldApartFromATableThatNobodyCanOpen) {
  EXPECT_HAS(error_at(server_.url("/pairs.tsv")), "pairs.tsv: expected an index of shards (.json), or tar shards");
  EXPECT_HAS(error_at(server_.url("/none.tar"), with_cache("a")), "none.tar");
  EXPECT_HAS(error_at(server_.url("/none.json"), with_cache("a")), "none.json");
}

}  // namespace
}  // namespace vlalign::test::remote_shards_test
