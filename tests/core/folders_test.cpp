#include "core/io/folders.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <thread>

#include "core/io/files.hpp"
#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace {

/// What a system does that is of another kind than the tests': it knows no exchange, or fails, or is killed.
struct Faults {
  std::atomic<bool> no_exchange = false;
  std::atomic<int> fails_at = 0, dies_at = 0;  // the how-manyeth call of rename() from now on; 0: none
} faults;

int renamed(const char* from, const char* to, unsigned flags) {
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

}  // namespace

// These two stand before the C library's for the whole program.
extern "C" int rename(const char* from, const char* to) noexcept {
  if (faults.dies_at > 0 && --faults.dies_at == 0) ::_exit(0);
  if (faults.fails_at > 0 && --faults.fails_at == 0) return errno = EIO, -1;
  return renamed(from, to, 0);
}

extern "C" int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  if (faults.no_exchange && flags == RENAME_EXCHANGE) return errno = EINVAL, -1;
  return renamed(from, to, flags);
}

namespace vlalign::folders_test {
namespace {

namespace fs = std::filesystem;
using test::FileSizeLimit;
using test::message_of;
using test::TempFolder;

/// Of the tests' kind: folders with a file "a", and perhaps a "b", in them.
const Replaceable replaceable{"a folder of tests", [](const fs::path& folder) {
                                for (const auto& path : entries_of(folder))
                                  if (path.filename() != "a" && path.filename() != "b")
                                    return path.filename().string() + " is in it";
                                return std::string(is_there(folder / "a") ? "" : "no a is in it");
                              }};

void write(const fs::path& path, const std::string& text) {
  write_folder_atomically(path, replaceable, [&](const fs::path& place) {
    std::ofstream(place / "a") << text;
    std::ofstream(place / "b") << text;
  });
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& path : entries_of(folder)) names.push_back(path.filename().string());
  return names;
}

using Names = std::vector<std::string>;

/// Once where the system exchanges two names in one step, once where it can't.
class WriteFolderAtomically : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override { faults.no_exchange = !GetParam(); }
  void TearDown() override { faults.no_exchange = false, faults.fails_at = 0; }

  TempFolder folder_;
  fs::path target_ = folder_.path() / "model";
};

INSTANTIATE_TEST_SUITE_P(Exchanging, WriteFolderAtomically, testing::Values(true));
INSTANTIATE_TEST_SUITE_P(InSteps, WriteFolderAtomically, testing::Values(false));

TEST_P(WriteFolderAtomically, LeavesTheOldFolderWhenFillingFails) {
  write(target_, "old");
  EXPECT_THROW(write_folder_atomically(target_, replaceable,
                                       [](const fs::path& place) {
                                         write_file_atomically(place / "a", "new");
                                         throw Error("no more");
                                       }),
               Error);
  EXPECT_EQ(read_file(target_ / "a"), "old");
  EXPECT_EQ(names_in(folder_.path()), Names{"model"});
}

TEST_P(WriteFolderAtomically, LeavesTheOldFolderWhenTheDiskIsFull) {
  write(target_, "old");
  const auto message = message_of<Error>([&] {
    const FileSizeLimit limit(1000);
    write_folder_atomically(target_, replaceable, [](const fs::path& place) {
      write_file_atomically(place / "a", "short");
      write_file_atomically(place / "b", std::string(5000, 'x'));
    });
  });
  EXPECT_NE(message.find("b: cannot write: File too large"), std::string::npos) << message;
  EXPECT_EQ(read_file(target_ / "a"), "old");
  EXPECT_EQ(names_in(folder_.path()), Names{"model"});
}

TEST_P(WriteFolderAtomically, ReplacesTheWholeFolder) {
  write(target_, "old");
  write_folder_atomically(target_, replaceable,
                          [](const fs::path& place) { write_file_atomically(place / "b", "new"); });
  EXPECT_FALSE(fs::exists(target_ / "a"));
  EXPECT_EQ(read_file(target_ / "b"), "new");
  EXPECT_EQ(names_in(folder_.path()), Names{"model"});
}

TEST_P(WriteFolderAtomically, TakesTheSamePlaceWithASlashByALinkOrWhereAnEmptyFolderIs) {
  fs::create_directory(target_);
  write(target_, "first");
  EXPECT_EQ(read_file(target_ / "a"), "first");
  write(target_ / "", "second");
  EXPECT_EQ(read_file(target_ / "a"), "second");
  write(target_ / ".", "third");
  EXPECT_EQ(read_file(target_ / "a"), "third");
  fs::create_symlink("model", folder_.path() / "link");
  write(folder_.path() / "link" / "", "fourth");
  EXPECT_EQ(read_file(target_ / "a"), "fourth");
  EXPECT_EQ(names_in(folder_.path()), (Names{"link", "model"}));
}

TEST_P(WriteFolderAtomically, ReplacesNothingThatIsNotOfItsKind) {
  bool filled = false;
  const auto complaint = [&](const fs::path& path) {
    return message_of<Error>(
        [&] { write_folder_atomically(path, replaceable, [&](const fs::path&) { filled = true; }); });
  };
  write(target_, "old");
  std::ofstream(target_ / "notes.txt") << "mine";
  EXPECT_EQ(complaint(target_), target_.string() +
                                    ": isn't replaced, since it is not empty and not a folder of tests: notes.txt is "
                                    "in it; choose another name");
  const auto file = folder_.path() / "file", loop = folder_.path() / "loop";
  std::ofstream(file) << "mine";
  EXPECT_EQ(complaint(file), file.string() + ": is a file, and a folder is to be written there; choose another name");
  fs::create_symlink("loop", loop);
  EXPECT_EQ(complaint(loop), loop.string() + ": cannot write: Too many levels of symbolic links");
  EXPECT_EQ(complaint("/proc"),
            "/proc: another file system is mounted there, which can't be replaced; name a folder in it");
  EXPECT_FALSE(filled);
  EXPECT_EQ(names_in(target_), (Names{"a", "b", "notes.txt"}));
  EXPECT_EQ(read_file(file), "mine");
  EXPECT_EQ(names_in(folder_.path()), (Names{"file", "loop", "model"}));
}

TEST_P(WriteFolderAtomically, LooksAgainWhenItIsFilled) {
  write(target_, "old");
  EXPECT_THROW(write_folder_atomically(target_, replaceable,
                                       [&](const fs::path& place) {
                                         std::ofstream(place / "a") << "new";
                                         std::ofstream(target_ / "notes.txt") << "mine";
                                       }),
               Error);
  EXPECT_EQ(names_in(target_), (Names{"a", "b", "notes.txt"}));
  EXPECT_EQ(names_in(folder_.path()), Names{"model"});
}

TEST_P(WriteFolderAtomically, LeavesOneOfTheTwoWhenItIsKilledAtAnyRename) {
  for (int rename = 1; rename <= 4; ++rename) {
    write(target_, "old");
    const auto child = ::fork();
    if (child == 0) {
      faults.dies_at = rename;
      write(target_, "new");
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    std::string a, b;
    read_whole_folder(target_, [&](const fs::path& place) { a = read_file(place / "a"), b = read_file(place / "b"); });
    EXPECT_TRUE(a == "old" || a == "new") << rename << ": " << a;
    EXPECT_EQ(a, b);
    tidy_folder(folder_.path());
    EXPECT_EQ(read_file(target_ / "a"), a) << rename;
    EXPECT_EQ(names_in(folder_.path()), Names{"model"}) << rename;
  }
}

TEST_P(WriteFolderAtomically, TakesOverWhatAKilledOneLeft) {
  for (int rename = 1; rename <= 4; ++rename) {
    write(target_, "old");
    const auto child = ::fork();
    if (child == 0) {
      faults.dies_at = rename;
      write(target_, "new");
      ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    write(target_, "next");
    EXPECT_EQ(read_file(target_ / "a"), "next");
    EXPECT_EQ(names_in(folder_.path()), Names{"model"}) << rename;
  }
}

TEST(WriteFolderInSteps, PutsBackWhatWasThereWhenTheNewOneCannotTakeItsPlace) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  write(target, "old");
  faults.no_exchange = true;
  faults.fails_at = 3;  // the first finds the place taken, the second empties it
  EXPECT_EQ(message_of<Error>([&] { write(target, "new"); }),
            target.string() + ": cannot be replaced: Input/output error");
  faults.no_exchange = false, faults.fails_at = 0;
  EXPECT_EQ(read_file(target / "a"), "old");
  EXPECT_EQ(names_in(folder.path()), Names{"model"});
}

TEST(ReadWholeFolder, ReadsAgainWhatWasReplacedMeanwhile) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  write(target, "old");
  std::string a, b;
  int times = 0;
  read_whole_folder(target, [&](const fs::path& place) {
    a = read_file(place / "a");
    if (++times == 1) write(target, "new");
    b = read_file(place / "b");
  });
  EXPECT_EQ(times, 2);
  EXPECT_EQ(a + b, "newnew");

  times = 0;
  read_whole_folder(target, [&](const fs::path&) {
    if (++times == 1) write(target, "newer"), throw Error("a file has gone");
  });
  EXPECT_EQ(times, 2);
  EXPECT_EQ(message_of<Error>([&] { read_whole_folder(target, [](const fs::path&) { throw Error("damaged"); }); }),
            "damaged");
}

TEST_P(WriteFolderAtomically, NeverShowsAReaderAMixture) {
  write(target_, "0");
  std::atomic<bool> over = false;
  std::jthread writer([&] {
    for (int i = 1; i <= 300; ++i) write(target_, std::to_string(i));
    over = true;
  });
  int last = 0;
  while (!over) {
    std::string a, b;
    read_whole_folder(target_, [&](const fs::path& place) { a = read_file(place / "a"), b = read_file(place / "b"); });
    EXPECT_EQ(a, b);
    EXPECT_GE(std::stoi(a), last);
    last = std::stoi(a);
  }
  writer.join();
  EXPECT_EQ(names_in(folder_.path()), Names{"model"});
}

TEST(WriteFolder, SeveralAtOnceLeaveOneWholeFolder) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  std::vector<std::jthread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) write(target, std::to_string(i));
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(read_file(target / "a"), read_file(target / "b"));
  EXPECT_EQ(names_in(folder.path()), Names{"model"});
}

TEST(TidyFolder, RemovesWhatTheDeadLeftAndNothingOfStrangersOrTheLiving) {
  const TempFolder folder;
  const Names strangers{"notes.partial-1", "x.partial-999", "y.vlalign.partial-", "z.vlalign.partial-1a"};
  for (const auto& name : strangers) std::ofstream(folder.path() / name) << "mine";
  std::ofstream(folder.path() / "file.vlalign.partial-3") << "half";
  fs::create_directory(folder.path() / "model.vlalign.partial-0");
  write_file_atomically(folder.path() / "living", [&](const auto& write) {
    write("whole");
    tidy_folder(folder.path());
  });
  EXPECT_EQ(names_in(folder.path()),
            (Names{"living", "notes.partial-1", "x.partial-999", "y.vlalign.partial-", "z.vlalign.partial-1a"}));
  EXPECT_EQ(read_file(folder.path() / "living"), "whole");
}

}  // namespace
}  // namespace vlalign::folders_test
