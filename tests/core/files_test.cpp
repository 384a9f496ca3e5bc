#include "core/io/files.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "support/file_size_limit.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::files_test {
namespace {

namespace fs = std::filesystem;
using test::FileSizeLimit;
using test::message_of;
using test::TempFolder;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

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

TEST(WriteFileAtomically, FollowsALink) {
  const TempFolder folder;
  write_file_atomically(folder.path() / "a", "old");
  fs::create_symlink("a", folder.path() / "to_a");
  fs::create_symlink("not_yet", folder.path() / "dangling");
  write_file_atomically(folder.path() / "to_a", "new");
  write_file_atomically(folder.path() / "dangling", "made");
  EXPECT_EQ(read_file(folder.path() / "a"), "new");
  EXPECT_EQ(read_file(folder.path() / "not_yet"), "made");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "to_a"));
  EXPECT_TRUE(fs::is_symlink(folder.path() / "dangling"));
}

TEST(WriteFileAtomically, LeavesWhatIsNoRegularFileAlone) {
  const TempFolder folder;
  const auto pipe = folder.path() / "pipe", null = folder.path() / "null", kept = folder.path() / "kept";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/null", null);
  fs::create_directory(kept);
  for (const auto& path : {pipe, null})
    EXPECT_EQ(message_of<Error>([&] { write_file_atomically(path, "x"); }),
              path.string() + ": is no regular file and isn't replaced");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically(kept, "x"); }),
            kept.string() + ": is a folder, and a file is to be written there");
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(entries(folder.path()), 3U);
}

TEST(WriteFileAtomically, SaysWhatIsWrongWithAPath) {
  const TempFolder folder;
  const auto loop = folder.path() / "loop", file = folder.path() / "file", name = folder.path() / std::string(300, 'n');
  fs::create_symlink("loop", loop);
  write_file_atomically(file, "kept");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically(loop, "x"); }),
            loop.string() + ": cannot write: Too many levels of symbolic links");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically(name, "x"); }),
            name.string() + ": cannot look there: File name too long");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically(file / "x", "x"); }),
            (file / "x").string() + ": cannot write: Not a directory");
  EXPECT_EQ(message_of<Error>([&] { write_file_atomically("", "x"); }), "a path to write to is empty");
  EXPECT_EQ(read_file(file), "kept");
}

TEST(WriteFileAtomically, TakesOverWhatADeadWriterLeftAndNothingElse) {
  const TempFolder folder;
  const auto file = folder.path() / "a";
  const auto strangers = {folder.path() / "a.partial-1", folder.path() / "a.vlalign.partial-x"};
  for (const auto& stranger : strangers) write_file_atomically(stranger, "mine");
  const auto child = ::fork();
  if (child == 0) {
    write_file_atomically(file, [](const auto& write) {
      write("half");
      ::_exit(0);  // as a kill does: nothing is tidied up
    });
  }
  ::waitpid(child, nullptr, 0);
  ASSERT_EQ(entries(folder.path()), 3U);
  write_file_atomically(file, "whole");
  EXPECT_EQ(read_file(file), "whole");
  for (const auto& stranger : strangers) EXPECT_EQ(read_file(stranger), "mine");
  EXPECT_EQ(entries(folder.path()), 3U);
}

TEST(WriteFileAtomically, LeavesAloneWhatALivingWriterIsAt) {
  const TempFolder folder;
  const auto file = folder.path() / "a";
  write_file_atomically(file, [&](const auto& write) {
    write("first ");
    write_file_atomically(file, "second");
    EXPECT_EQ(read_file(file), "second");
    write("to its end");
  });
  EXPECT_EQ(read_file(file), "first to its end");
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

TEST(StatusOf, SaysWhatIsWrong) {
  const TempFolder folder;
  const auto loop = folder.path() / "loop";
  fs::create_symlink("loop", loop);
  EXPECT_FALSE(is_there(folder.path() / "x"));
  EXPECT_EQ(message_of<Error>([&] { is_there(loop); }),
            loop.string() + ": cannot look there: Too many levels of symbolic links");
  EXPECT_EQ(message_of<Error>([&] { entries_of(loop); }),
            loop.string() + ": cannot list the folder: Too many levels of symbolic links");
}

TEST(ReadFile, SaysWhatIsWrong) {
  const TempFolder folder;
  EXPECT_EQ(message_of<Error>([] { read_file("/nowhere"); }), "/nowhere: cannot read: No such file or directory");
  EXPECT_EQ(message_of<Error>([&] { read_file(folder.path()); }),
            folder.path().string() + ": is a folder, a file is needed");
}

TEST(ReadFile, RefusesWhatNeverEndsOrWaits) {
  const TempFolder folder;
  const auto pipe = folder.path() / "pipe", zeros = folder.path() / "zeros";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", zeros);
  for (const auto& path : {pipe, zeros}) {
    EXPECT_EQ(message_of<Error>([&] { read_file(path); }), path.string() + ": is not a regular file");
    EXPECT_EQ(message_of<Error>([&] { read_text(path); }), path.string() + ": is not a regular file");
  }
}

TEST(ReadFile, RefusesMoreThanItsMost) {
  const TempFolder folder;
  const auto file = folder.path() / "sparse";
  write_file_atomically(file, "0123456789");
  EXPECT_EQ(read_file(file, 10), "0123456789");
  EXPECT_EQ(message_of<Error>([&] { read_file(file, 9); }),
            file.string() + ": has 10 bytes or more; what is read whole may have 9");
  fs::resize_file(file, (std::uintmax_t{1} << 30) + 1);  // it takes no room on the disk
  EXPECT_EQ(message_of<Error>([&] { read_file(file); }),
            file.string() + ": has 1073741825 bytes or more; what is read whole may have 1073741824");
}

TEST(ReadTextOrPipe, TakesAPipeAndAFile) {
  const TempFolder folder;
  const auto file = folder.path() / "list";
  write_file_atomically(file, "\xef\xbb\xbfred\ngreen\n");
  EXPECT_EQ(read_text_or_pipe(file), "red\ngreen\n");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "red\n", 4), 4);
  ::close(ends[1]);
  EXPECT_EQ(read_text_or_pipe("/dev/fd/" + std::to_string(ends[0])), "red\n");  // as a shell names <(...)
  ::close(ends[0]);
}

}  // namespace
}  // namespace vlalign::files_test
