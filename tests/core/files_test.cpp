#include "core/files.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Lets no file of this process grow beyond some bytes: what a full disk does, without filling one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(WriteFileAtomically, ReplacesTheWholeFile) {
  const TempFolder folder;
  const auto file = folder.path() / "a";
  write_file_atomically(file, "first, and longer");
  write_file_atomically(file, "second");
  EXPECT_EQ(read_file(file), "second");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(WriteFileAtomically, LeavesTheOldFileWhenTheDiskIsFull) {
  const TempFolder folder;
  const auto file = folder.path() / "a";
  write_file_atomically(file, "old");
  const auto message = message_of<Error>([&] {
    const FileSizeLimit limit(1000);
    write_file_atomically(file, std::string(5000, 'x'));
  });
  EXPECT_NE(message.find(file.string()), std::string::npos) << message;
  EXPECT_EQ(read_file(file), "old");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(WriteFileAtomically, NamesTheFolderThatIsNotThere) {
  const auto message = message_of<Error>([] { write_file_atomically("/nowhere/at/all", "x"); });
  EXPECT_EQ(message, "/nowhere/at/all: cannot write: No such file or directory");
}

TEST(WriteFolderAtomically, LeavesTheOldFolderWhenFillingFails) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  write_folder_atomically(target, [](const fs::path& place) { write_file_atomically(place / "a", "old"); });
  EXPECT_THROW(write_folder_atomically(target,
                                       [](const fs::path& place) {
                                         write_file_atomically(place / "a", "new");
                                         throw Error("no more");
                                       }),
               Error);
  EXPECT_EQ(read_file(target / "a"), "old");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(WriteFolderAtomically, ReplacesTheWholeFolder) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  write_folder_atomically(target, [](const fs::path& place) { write_file_atomically(place / "a", "old"); });
  write_folder_atomically(target, [](const fs::path& place) { write_file_atomically(place / "b", "new"); });
  EXPECT_FALSE(fs::exists(target / "a"));
  EXPECT_EQ(read_file(target / "b"), "new");
  EXPECT_EQ(entries(folder.path()), 1U);
}

TEST(ShareFolder, IsBesideTheLibraryUnlessNamed) {
  const auto vocabulary = fs::path(VLALIGN_VOCAB).parent_path();
  if (!fs::is_directory(vocabulary)) GTEST_SKIP() << "set-up has not fetched CLIP's vocabulary";
  ::unsetenv("VLALIGN_SHARE");
  EXPECT_TRUE(fs::equivalent(share_folder(), vocabulary));
  ::setenv("VLALIGN_SHARE", "/elsewhere", 1);
  EXPECT_EQ(share_folder(), "/elsewhere");
  ::unsetenv("VLALIGN_SHARE");
}

TEST(ReadFile, SaysWhatIsWrong) {
  const TempFolder folder;
  EXPECT_EQ(message_of<Error>([] { read_file("/nowhere"); }), "/nowhere: cannot read: No such file or directory");
  EXPECT_EQ(message_of<Error>([&] { read_file(folder.path()); }),
            folder.path().string() + ": is a folder, a file is needed");
}

}  // namespace
}  // namespace vlalign
