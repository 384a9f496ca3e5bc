#include "data/sources/unpacked_shards.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <random>
#include <thread>

#include "data/pairs_fixture.hpp"
#include "data/sources/tar.hpp"

namespace vlalign::test::unpacked_shards_test {
namespace {

/// What files without a name in the folder for temporary files take on the disk, of this process.
std::int64_t unnamed_bytes() {
  const auto prefix = fs::temp_directory_path().string();
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = fs::read_symlink(entry.path(), gone).string();
    struct stat status {};
    if (target.starts_with(prefix) && target.ends_with(" (deleted)") && ::stat(entry.path().c_str(), &status) == 0)
      bytes += status.st_blocks * 512;
  }
  return bytes;
}

/// A lower limit on open files while this lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    auto limit = before_;
    limit.rlim_cur = most;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;
  ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class UnpackedShardsTest : public Pairs {
 protected:
  /// So many names for one shard, like 0007.tar.gz.
  std::vector<fs::path> links(const std::string& shard, const std::string& ending, int count) const {
    std::vector<fs::path> paths;
    for (int i = 0; i < count; ++i) {
      paths.push_back(folder_ / fmt::format("{:04}{}", i, ending));
      fs::create_symlink(fixtures / shard, paths.back());
    }
    return paths;
  }

  static std::string first_picture(const OpenShard& shard) {
    for (const auto& member : list_tar(shard.tar)) {
      if (member.name.ends_with("jpg") || member.name.ends_with("png"))
        return hex_of(shard.tar.read(member.offset, member.size));
    }
    return "no picture";
  }

  static std::string picture_of(const std::string& shard) {
    return read_json(fixtures / "shards.json")[shard][0]["image"];
  }
};

TEST_F(UnpackedShardsTest, MoreShardsThanAProcessMayHoldOpenAreRead) {
  constexpr int shards = 1100;
  for (const std::string name : {"gnu.tar", "gnu.tar.gz", "pax.tar.zst"}) {
    const auto ending = name.substr(name.find('.'));
    const auto paths = links(name, ending, shards);
    const auto records = read_json(fixtures / "shards.json")[name];
    {
      const FewDescriptors limit(256);
      const auto pairs = open_pairs((folder_ / ("{0000..1099}" + ending)).string());
      const auto each = static_cast<std::int64_t>(records.size());
      ASSERT_EQ(pairs->size(), shards * each);
      std::mt19937 random(1);
      for (int i = 0; i < 2000; ++i) {
        const auto record = static_cast<std::int64_t>(random() % static_cast<unsigned>(pairs->size()));
        const std::string expected = records[static_cast<std::size_t>(record % each)]["image"];
        ASSERT_EQ(hex_of(pairs->read(record).image), expected) << pairs->name(record);
      }
    }
    for (const auto& path : paths) fs::remove(path);
  }
}

TEST_F(UnpackedShardsTest, CopiesTakeNoMoreRoomThanTheyMay) {
  const auto paths = links("gnu.tar.gz", ".tar.gz", 60);
  const auto one = UnpackedShards(1 << 30).open(paths[0]).tar.size;
  const auto before = unnamed_bytes();
  const auto most = 10 * one;
  UnpackedShards unpacked(most);
  const auto expected = picture_of("gnu.tar.gz");
  std::mt19937 random(1);
  std::int64_t largest = 0;
  for (int i = 0; i < 400; ++i) {
    const auto& path = i < 60 ? paths[static_cast<std::size_t>(i)] : paths[random() % paths.size()];
    const auto shard = unpacked.open(path);
    EXPECT_TRUE(shard.compressed);
    ASSERT_EQ(first_picture(shard), expected);
    largest = std::max(largest, unnamed_bytes() - before);
  }
  EXPECT_GT(largest, most / 2);
  EXPECT_LE(largest, most + one + 16 * 4096);  // blocks are whole
  EXPECT_EQ(log_.warnings(), 1U);
}

TEST_F(UnpackedShardsTest, ThreadsGetTheRightCopiesWhileOthersMakeRoom) {
  const std::vector<std::string> names = {"gnu.tar.gz", "pax.tar.zst", "ustar.tar.xz", "pax.tgz", "gnu.tar"};
  UnpackedShards unpacked(1);  // room for one copy
  std::vector<std::string> expected;
  for (const auto& name : names) expected.push_back(picture_of(name));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 100; ++i) {
        const auto which = random() % names.size();
        wrong += first_picture(unpacked.open(fixtures / names[which])) != expected[which];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(UnpackedShardsTest, AShardThatIsAnotherWhenItIsUnpackedAgainIsRefused) {
  const auto shard = folder_ / "a.tar.gz";
  fs::copy_file(fixtures / "gnu.tar.gz", shard);
  UnpackedShards unpacked(1);
  unpacked.open(shard);
  unpacked.open(fixtures / "pax.tar.zst");  // takes its place
  fs::remove(shard);
  fs::copy_file(fixtures / "ustar.tar.xz", shard);
  std::string message;
  try {
    unpacked.open(shard);
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_HAS(message, shard.string() + ": holds ");
}

TEST_F(UnpackedShardsTest, ADamagedShardLeavesNothingBehind) {
  const auto whole = read_text(fixtures / "gnu.tar.gz");
  const auto before = unnamed_bytes();
  UnpackedShards unpacked(1 << 20);
  const auto cut = write("cut.tar.gz", std::string_view(whole).substr(0, whole.size() / 2));
  for (int i = 0; i < 20; ++i) EXPECT_THROW(unpacked.open(cut), Error);
  EXPECT_EQ(unnamed_bytes(), before);
  EXPECT_EQ(first_picture(unpacked.open(fixtures / "gnu.tar.gz")), picture_of("gnu.tar.gz"));
}

}  // namespace
}  // namespace vlalign::test::unpacked_shards_test
