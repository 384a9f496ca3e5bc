#include "data/sources/picture_files.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "support/captured_log.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::picture_files_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;

class PictureFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root() / "below");
    for (const auto* name : {"b.png", "a.JPG", "below/c.webp", "below/d.jfif", "below/e.jpe", "notes.txt"})
      std::ofstream(root() / name) << "x";
  }
  fs::path root() const { return folder_.path() / "root"; }
  std::vector<fs::path> expected() const {
    return {root() / "a.JPG", root() / "b.png", root() / "below/c.webp", root() / "below/d.jfif",
            root() / "below/e.jpe"};
  }

  test::TempFolder folder_;
  test::CapturedLog log_;
};

TEST_F(PictureFiles, AreThoseInAFolderAndBelow) { EXPECT_EQ(picture_files(root()), expected()); }

TEST_F(PictureFiles, AreFoundBesideLinksThatLeadNowhere) {
  fs::create_symlink("self.png", root() / "self.png");
  fs::create_symlink("gone.png", root() / "dangling.png");
  fs::create_symlink("loop", root() / "loop");
  EXPECT_EQ(picture_files(root()), expected());
  EXPECT_EQ(log_.count("self.png: cannot look there"), 1);
  EXPECT_EQ(log_.count("loop: cannot look there"), 1);
  EXPECT_EQ(log_.warnings(), 2U);
}

TEST_F(PictureFiles, AreFoundOnceWhereLinksLeadBackUp) {
  fs::create_directory_symlink("..", root() / "below/up");
  fs::create_directory_symlink(fs::absolute(root()), root() / "below/absolute");
  fs::create_directory_symlink(".", root() / "here");
  EXPECT_EQ(picture_files(root()), expected());
  EXPECT_EQ(log_.count("leads back to a folder that it lies in"), 3);
}

TEST_F(PictureFiles, AreFoundOnceThroughManyLinksToEachOther) {
  const auto many = root() / "many";
  for (int i = 0; i < 20; ++i) {
    const auto folder = many / std::to_string(i);
    fs::create_directories(folder);
    std::ofstream(folder / "p.png") << "x";
    for (int other = 0; other < 20; ++other)
      fs::create_directory_symlink("../" + std::to_string(other), folder / ("to " + std::to_string(other)));
  }
  EXPECT_EQ(picture_files(many).size(), 20U);
  EXPECT_EQ(log_.count("more places could not be searched"), 1);
  EXPECT_EQ(log_.warnings(), 11U);
}

/// Another user than root, who may list any folder, for as long as it lives.
class NotRoot {
 public:
  NotRoot() : was_root_(::geteuid() == 0) {
    if (was_root_ && ::seteuid(65534) != 0) ADD_FAILURE() << "cannot be another user";
  }
  ~NotRoot() {
    if (was_root_ && ::seteuid(0) != 0) ADD_FAILURE() << "cannot be root again";
  }

 private:
  bool was_root_;
};

TEST_F(PictureFiles, AreFoundBesideAFolderThatCannotBeListed) {
  const auto closed = root() / "closed";
  fs::create_directory(closed);
  std::ofstream(closed / "d.png") << "x";
  fs::permissions(closed, fs::perms::none);
  {
    const NotRoot user;
    EXPECT_EQ(picture_files(root()), expected());
    EXPECT_EQ(message_of<Error>([&] { picture_files(closed); }),
              closed.string() + ": cannot list the folder: Permission denied");
  }
  fs::permissions(closed, fs::perms::owner_all);
  EXPECT_EQ(log_.count(closed.string() + ": cannot list the folder: Permission denied"), 1);
}

TEST_F(PictureFiles, OfOtherFoldersComeThroughLinks) {
  fs::create_directory(folder_.path() / "other");
  std::ofstream(folder_.path() / "other/d.png") << "x";
  fs::create_directory_symlink(folder_.path() / "other", root() / "linked");
  auto all = expected();
  all.push_back(root() / "linked/d.png");
  EXPECT_EQ(picture_files(root()), all);
}

TEST_F(PictureFiles, AFolderThatCannotBeListedIsNamed) {
  fs::create_symlink("loop", root() / "loop");
  const auto name = (root() / "loop").string();
  EXPECT_TRUE(message_of<Error>([&] { picture_files(root() / "loop"); }).starts_with(name + ": ")) << name;
  const auto none = root() / "none";
  EXPECT_EQ(message_of<Error>([&] { picture_files(none); }), none.string() + ": no such folder");
  const auto file = root() / "b.png";
  EXPECT_EQ(message_of<Error>([&] { picture_files(file); }), file.string() + ": no such folder");
  const auto longer = root() / std::string(300, 'x');
  EXPECT_TRUE(message_of<Error>([&] { picture_files(longer); }).starts_with(longer.string() + ": "));
}

}  // namespace
}  // namespace vlalign::picture_files_test
