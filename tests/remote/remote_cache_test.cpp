#include "remote/remote_cache.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "remote/remote_fixture.hpp"
#include "support/file_size_limit.hpp"

namespace vlalign::test::remote_cache_test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t size = 100'000;

class RemoteCacheTest : public Remote {
 protected:
  void SetUp() override {
    Remote::SetUp();
    std::string path = (fs::temp_directory_path() / "vlalign-cache-XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    for (unsigned i = 0; i < 10; ++i) server_.put(path_of(i), {bytes_of(i), fmt::format("\"{}\"", i)});
  }
  void TearDown() override {
    fs::remove_all(folder_);
    Remote::TearDown();
  }

  static std::string path_of(unsigned i) { return fmt::format("/{}.tar", i); }
  static std::string bytes_of(unsigned i) { return random_bytes(size, i + 1); }
  std::string url(unsigned i) const { return server_.url(path_of(i)); }
  std::vector<std::string> urls(unsigned begin, unsigned end) const {
    std::vector<std::string> all;
    for (auto i = begin; i < end; ++i) all.push_back(url(i));
    return all;
  }
  CacheOptions options(std::int64_t files = 100) const {
    return {.folder = folder_, .most_bytes = files * static_cast<std::int64_t>(size), .downloads = 2};
  }

  static std::string all_of(const std::shared_ptr<const RandomAccess>& file) {
    return text_of(file->read(0, file->size()));
  }
  static bool is_local(const std::shared_ptr<const RandomAccess>& file) {
    return dynamic_cast<const InputFile*>(file.get());
  }

  std::vector<fs::path> files(const std::string& part = ".tar.vlalign-shard") const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().string().find(part) != std::string::npos) found.push_back(entry.path());
    }
    return found;
  }
  /// Of copies and what is made of them, while none gets another name.
  std::int64_t stored() const {
    const FileDescriptor lock(::open((folder_ / ".vlalign-cache-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    EXPECT_EQ(::flock(lock.get(), LOCK_EX), 0);
    std::int64_t bytes = 0;
    std::error_code gone;
    for (const auto& file : files()) {
      const auto one = fs::file_size(file, gone);
      if (!gone) bytes += static_cast<std::int64_t>(one);
    }
    return bytes;
  }
  bool has_copy(unsigned i) const {
    const auto found = files(fmt::format("-{}.tar.vlalign-shard", i));
    return found.size() == 1 && !found[0].filename().string().starts_with(".partial-");
  }

  /// Another process that fetches these.
  pid_t start_process(const std::vector<std::string>& urls) const {
    std::vector<std::string> words = {"env",
                                      "VLALIGN_TEST_CACHE=" + folder_.string(),
                                      fmt::format("VLALIGN_TEST_URLS={}", fmt::join(urls, " ")),
                                      fs::read_symlink("/proc/self/exe").string(),
                                      "--gtest_filter=RemoteCacheProcess.*",
                                      "--gtest_brief=1"};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = -1;
    EXPECT_EQ(::posix_spawn(&child, "/usr/bin/env", nullptr, nullptr, arguments.data(), environ), 0);
    return child;
  }
  static int wait_for(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }

  template <typename Condition>
  static bool eventually(const Condition& condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  fs::path folder_;
  FileServer server_;
};

TEST_F(RemoteCacheTest, AFileIsDownloadedOnceAndThenReadFromTheDisk) {
  RemoteCache cache(options());
  EXPECT_EQ(all_of(cache.fetch(url(0))), bytes_of(0));
  EXPECT_TRUE(is_local(cache.fetch(url(0))));
  EXPECT_EQ(all_of(cache.open(url(0))), bytes_of(0));
  EXPECT_EQ(cache.open(url(0))->name(), url(0));
  EXPECT_EQ(requests(), 2);
  EXPECT_EQ(cache.counts().hits, 3);
  EXPECT_EQ(cache.counts().misses, 1);
  EXPECT_EQ(cache.counts().bytes, static_cast<std::int64_t>(size));
  RemoteCache another(options());
  EXPECT_TRUE(is_local(another.open(url(0))));
  EXPECT_EQ(requests(), 3);
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(RemoteCacheTest, AnOpenFileIsReadByRangesUntilItsCopyIsWhole) {
  RemoteCache cache(options());
  const auto file = cache.open(url(0));
  EXPECT_FALSE(is_local(file));
  EXPECT_EQ(text_of(file->read(500, 1000)), bytes_of(0).substr(500, 1000));
  EXPECT_TRUE(files().empty());
  server_.plant([](auto&, auto& reply) { reply.pause_s = 0.005; });
  cache.prefetch({url(0)});
  ASSERT_TRUE(eventually([&] { return !files(".partial-").empty(); }));
  EXPECT_FALSE(is_local(cache.open(url(0))));
  EXPECT_TRUE(eventually([&] { return is_local(cache.open(url(0))); }));
  EXPECT_EQ(all_of(cache.open(url(0))), bytes_of(0));
  EXPECT_EQ(server_.count("HEAD"), 1);
}

TEST_F(RemoteCacheTest, AnotherVersionIsAnotherCopy) {
  {
    RemoteCache cache(options());
    cache.fetch(url(0));
    server_.put(path_of(0), {bytes_of(7), "\"new\""});
    EXPECT_EQ(all_of(cache.open(url(0))), bytes_of(0));
  }
  RemoteCache cache(options());
  EXPECT_FALSE(is_local(cache.open(url(0))));
  EXPECT_EQ(all_of(cache.fetch(url(0))), bytes_of(7));
}

TEST_F(RemoteCacheTest, FilesAreFetchedBeforehandInTheirOrder) {
  auto one = options();
  one.downloads = 1;
  RemoteCache cache(one);
  cache.prefetch({url(3), url(1), url(2), url(1)});
  ASSERT_TRUE(eventually([&] { return has_copy(1) && has_copy(2) && has_copy(3); }));
  std::string order;
  for (const auto& call : server_.server().calls()) {
    if (call.method == "GET") order += call.path();
  }
  EXPECT_EQ(order, "/3.tar/1.tar/2.tar");
  for (unsigned i = 1; i <= 3; ++i) EXPECT_EQ(all_of(cache.open(url(i))), bytes_of(i));
  EXPECT_EQ(cache.counts().hits, 3);
}

TEST_F(RemoteCacheTest, ANewListTakesThePlaceOfWhatWaits) {
  auto one = options();
  one.downloads = 1;
  RemoteCache cache(one);
  server_.plant([](auto&, auto& reply) { reply.pause_s = 0.005; });
  cache.prefetch(urls(0, 5));
  ASSERT_TRUE(eventually([&] { return server_.count("GET") == 1; }));
  cache.prefetch({url(7)});
  ASSERT_TRUE(eventually([&] { return has_copy(7); }));
  EXPECT_TRUE(has_copy(0));
  EXPECT_EQ(server_.count("GET"), 2);
}

TEST_F(RemoteCacheTest, WhatWasUsedLeastRecentlyMakesRoom) {
  RemoteCache cache(options(3));
  const auto wait = [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
  for (unsigned i = 0; i < 3; ++i, wait()) cache.fetch(url(i));
  const auto oldest = cache.open(url(1));
  wait();
  cache.open(url(0));
  wait();
  cache.open(url(2));
  wait();
  cache.fetch(url(3));
  EXPECT_FALSE(has_copy(1));
  EXPECT_EQ(all_of(oldest), bytes_of(1));  // whoever reads it keeps it
  for (const unsigned i : {0U, 2U, 3U}) EXPECT_TRUE(has_copy(i)) << i;
  EXPECT_LE(stored(), static_cast<std::int64_t>(3 * size));
}

TEST_F(RemoteCacheTest, OnlyFilesOfTheCacheAreEverRemoved) {
  for (const char* name : {"notes.tar", ".partial-5-mine", "x.vlalign-shard", ".partial-9-x.vlalign-shard"})
    std::ofstream(folder_ / name) << std::string(3 * size, 'x');
  RemoteCache cache(options(1));
  for (unsigned i = 0; i < 5; ++i) EXPECT_TRUE(is_local(cache.fetch(url(i))));
  for (const char* name : {"notes.tar", ".partial-5-mine", "x.vlalign-shard", ".partial-9-x.vlalign-shard"})
    EXPECT_EQ(fs::file_size(folder_ / name), 3 * size) << name;
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(RemoteCacheTest, WhatIsNeededSoonerIsNotRemovedForWhatIsNeededLater) {
  RemoteCache cache(options(3));
  cache.prefetch(urls(0, 8));
  ASSERT_TRUE(eventually([&] { return has_copy(0) && has_copy(1) && has_copy(2); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_TRUE(has_copy(0) && has_copy(1) && has_copy(2));
  EXPECT_EQ(server_.count("GET"), 3);
  EXPECT_LE(server_.count("HEAD"), 5);  // nobody asks for what won't have room
  cache.prefetch(urls(2, 8));
  ASSERT_TRUE(eventually([&] { return has_copy(2) && has_copy(3) && has_copy(4); }));
  EXPECT_EQ(server_.count("GET"), 5);
  cache.fetch(url(9));  // needed now: what is needed last makes room
  EXPECT_TRUE(has_copy(2) && has_copy(3) && has_copy(9));
  EXPECT_EQ(log_.warnings(), 0U) << log_.text();
}

TEST_F(RemoteCacheTest, WithoutRoomFilesAreReadByRangesAndOneWarningIsGiven) {
  auto tiny = options();
  tiny.most_bytes = size - 1;
  RemoteCache cache(tiny);
  for (unsigned i = 0; i < 3; ++i) {
    const auto file = cache.fetch(url(i));
    EXPECT_FALSE(is_local(file));
    EXPECT_EQ(all_of(file), bytes_of(i));
  }
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(log_.warnings(), 1U);
  EXPECT_EQ(log_.count("there is no room for it"), 1);
}

TEST_F(RemoteCacheTest, ADiskThatIsFullIsNoError) {
  RemoteCache cache(options());
  cache.fetch(url(0));
  const FileSizeLimit limit(size / 2);
  const auto file = cache.fetch(url(1));
  EXPECT_FALSE(is_local(file));
  EXPECT_EQ(all_of(file), bytes_of(1));
  EXPECT_TRUE(has_copy(0));
  EXPECT_EQ(files().size(), 1U);
  EXPECT_EQ(log_.count("there is no room for it"), 1);
}

TEST_F(RemoteCacheTest, WhatADeadWriterLeftIsGoneOnWith) {
  {
    RemoteCache cache(options());
    server_.plant([](auto&, auto& reply) { reply.stall_after = 60'000; });
    cache.prefetch({url(0)});
    ASSERT_TRUE(eventually([&] { return cache.counts().bytes == 60'000; }));
  }
  ASSERT_EQ(files(".partial-").size(), 1U);
  EXPECT_EQ(fs::file_size(files(".partial-")[0]), 60'000U);
  RemoteCache cache(options());
  EXPECT_EQ(all_of(cache.fetch(url(0))), bytes_of(0));
  EXPECT_EQ(cache.counts().bytes, static_cast<std::int64_t>(size) - 60'000);
  EXPECT_EQ(server_.server().calls().back().header("range"), "bytes=60000-99999");
  EXPECT_EQ(files().size(), 1U);
}

TEST_F(RemoteCacheTest, AProcessThatIsKilledLeavesWhatTheNextOneGoesOnWith) {
  for (int round = 0; round < 5; ++round) {
    const auto before = files().size();
    server_.plant([](auto&, auto& reply) { reply.stall_after = 30'000; });
    const auto child = start_process({url(static_cast<unsigned>(round))});
    ASSERT_TRUE(eventually([&] { return stored() - static_cast<std::int64_t>(before * size) == 30'000; }));
    ::kill(child, SIGKILL);
    wait_for(child);
    RemoteCache cache(options());
    EXPECT_EQ(all_of(cache.fetch(url(static_cast<unsigned>(round)))), bytes_of(static_cast<unsigned>(round)));
    EXPECT_EQ(cache.counts().bytes, static_cast<std::int64_t>(size) - 30'000);
  }
  EXPECT_TRUE(files(".partial-").empty());
}

TEST_F(RemoteCacheTest, ProcessesDownloadEachFileOnceTogether) {
  server_.plant([](auto&, auto& reply) { reply.pause_s = 0.002; }, 10);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) children.push_back(start_process(urls(0, 10)));
  for (const auto child : children) EXPECT_EQ(wait_for(child), 0);
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(server_.count("GET", path_of(i)), 1);
  RemoteCache cache(options());
  for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(all_of(cache.open(url(i))), bytes_of(i));
  EXPECT_EQ(cache.counts().hits, 10);
}

/// What start_process() starts; nothing otherwise.
TEST(RemoteCacheProcess, FetchesWhatItIsTold) {
  const char *folder = std::getenv("VLALIGN_TEST_CACHE"), *urls = std::getenv("VLALIGN_TEST_URLS");
  if (!folder || !urls) return;
  RemoteCache cache({.folder = folder});
  std::istringstream all(urls);
  for (std::string url; all >> url;) EXPECT_TRUE(dynamic_cast<const InputFile*>(cache.fetch(url).get()));
}

TEST_F(RemoteCacheTest, DeadPartialFilesMakeRoomToo) {
  {
    RemoteCache cache(options());
    server_.plant([](auto&, auto& reply) { reply.stall_after = 60'000; });
    cache.prefetch({url(0)});
    ASSERT_TRUE(eventually([&] { return cache.counts().bytes == 60'000; }));
  }
  RemoteCache cache(options(1));
  EXPECT_TRUE(is_local(cache.fetch(url(1))));
  EXPECT_EQ(files(), files("-1.tar.vlalign-shard"));
}

TEST_F(RemoteCacheTest, DownloadsEndPromptlyWithTheCache) {
  server_.plant([](auto&, auto& reply) { reply.stall_after = 10; }, 2);
  set_remote_options({.timeout_s = 30, .attempts = 6, .first_wait_s = 10});
  std::chrono::steady_clock::time_point begin;
  {
    RemoteCache cache(options());
    cache.prefetch(urls(0, 8));
    ASSERT_TRUE(eventually([&] { return cache.counts().bytes == 20; }));
    begin = std::chrono::steady_clock::now();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST_F(RemoteCacheTest, WaitsBetweenAttemptsEndWithTheCacheToo) {
  server_.plant([](auto&, auto& reply) { reply = {.status = 503}; }, 20);
  set_remote_options({.timeout_s = 30, .attempts = 6, .first_wait_s = 10});
  {
    RemoteCache cache(options());
    cache.prefetch(urls(0, 8));
    ASSERT_TRUE(eventually([&] { return server_.count("GET") == 2; }));
  }
  EXPECT_LT(seconds(), 8);
}

TEST_F(RemoteCacheTest, AFaultBeforehandIsAWarningAndTheRestIsFetched) {
  RemoteCache cache(options());
  cache.prefetch({server_.url("/none.tar"), url(1), url(2)});
  ASSERT_TRUE(eventually([&] { return has_copy(1) && has_copy(2) && log_.warnings() == 1; }));
  EXPECT_EQ(log_.count("/none.tar: the server answers 404"), 1);
  EXPECT_THROW(cache.open(server_.url("/none.tar")), Error);
  cache.prefetch({server_.url("/none.tar"), url(3)});
  ASSERT_TRUE(eventually([&] { return has_copy(3) && server_.count("HEAD", "/none.tar") == 3; }));
  EXPECT_EQ(log_.warnings(), 1U);
}

TEST_F(RemoteCacheTest, ManyCachesOfOneFolderDownloadEachFileOnce) {
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 6; ++seed) {
    threads.emplace_back([&, seed] {
      RemoteCache cache(options());
      cache.prefetch(urls(0, 10));
      std::mt19937 random(seed);
      for (int i = 0; i < 40; ++i) {
        const auto which = static_cast<unsigned>(random() % 10);
        const auto file = random() % 2 ? cache.fetch(url(which)) : cache.open(url(which));
        const auto offset = random() % (size - 100);
        wrong += text_of(file->read(static_cast<std::int64_t>(offset), 100)) != bytes_of(which).substr(offset, 100);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  for (const auto& path : files()) EXPECT_EQ(fs::file_size(path), size);
  std::int64_t whole = 0;
  for (const auto& call : server_.server().calls()) whole += call.method == "GET" && call.header("range").empty();
  EXPECT_LE(whole, 10);
}

TEST_F(RemoteCacheTest, ThreadsOfACacheThatIsTooSmallReadTheRightBytes) {
  RemoteCache cache(options(3));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 40; ++i) {
        const auto which = static_cast<unsigned>(random() % 10);
        if (random() % 5 == 0) cache.prefetch(urls(which, 10));
        const auto file = random() % 2 ? cache.fetch(url(which)) : cache.open(url(which));
        wrong += all_of(file) != bytes_of(which);
        wrong += stored() > static_cast<std::int64_t>(3 * size);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(RemoteCacheTest, AFolderThatIsTakenAwayIsAWarning) {
  RemoteCache cache(options());
  cache.fetch(url(0));
  fs::remove_all(folder_);
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(all_of(cache.fetch(url(i))), bytes_of(i));
  cache.prefetch(urls(3, 6));
  EXPECT_TRUE(eventually([&] { return server_.count("HEAD") == 6; }));
  EXPECT_EQ(log_.warnings(), 1U) << log_.text();
  EXPECT_EQ(log_.count(folder_.string()), 1);
}

TEST_F(RemoteCacheTest, AFolderThatCanNotBeIsAnErrorThatNamesIt) {
  std::ofstream(folder_ / "file") << "x";
  EXPECT_HAS(error_of([&] { RemoteCache({.folder = folder_ / "file" / "cache"}); }), (folder_ / "file").string());
  EXPECT_HAS(error_of([&] { RemoteCache(CacheOptions{}); }), "no folder is named");
}

}  // namespace
}  // namespace vlalign::test::remote_cache_test
