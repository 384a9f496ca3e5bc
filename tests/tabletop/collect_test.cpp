#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "core/io/files.hpp"
#include "data/sources/tar.hpp"
#include "support/temp_folder.hpp"
#include "tabletop/simulation.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/image/image.hpp"

namespace tabletop::collect_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using vlalign::test::TempFolder;

int collect(const fs::path& out, const std::string& options) {
  return std::system(
      fmt::format("{} collect --out {} {} > {}.log 2>&1", TABLETOP, out.string(), options, out.string()).c_str());
}

std::string contents(const fs::path& tar, const vlalign::TarMember& member) {
  return vlalign::read_file(tar).substr(member.offset, member.size);
}

TEST(Collect, FramesArePairsWithManyCaptions) {
  const TempFolder folder;
  ASSERT_EQ(collect(folder.path() / "data", "--episodes 0 --frames 25"), 0);
  const auto pairs = vlalign::open_pairs((folder.path() / "data/frames-000.tar").string());
  ASSERT_EQ(pairs->size(), 25);
  for (int i = 0; i < 25; ++i) {
    const auto pair = pairs->read(i);
    EXPECT_GE(pair.captions.size(), 3);
    const auto image = vlalign::decode_image(pair.image, pair.name);
    EXPECT_EQ(image.width, 64);
    EXPECT_EQ(image.height, 64);
  }
}

// What a step's state and the next one's have between them is what the hand did: near what is said that it wanted.
TEST(Collect, DemonstrationsAreStepsInOrderWithStateAndAction) {
  const TempFolder folder;
  ASSERT_EQ(collect(folder.path() / "data", "--episodes 6 --frames 0 --noise 0"), 0);
  const auto tar = folder.path() / "data/demos-000.tar";
  std::map<std::string, json> last;
  for (const auto& member : vlalign::list_tar(vlalign::whole_file(tar))) {
    if (!member.name.ends_with(".json")) continue;
    const auto record = json::parse(contents(tar, member));
    const std::string episode = record["episode"];
    const int step = record["step"];
    EXPECT_EQ(member.name, fmt::format("{}-{:04}.json", episode, step));
    EXPECT_FALSE(record["instruction"].get<std::string>().empty());
    EXPECT_FALSE(record["caption"].empty());
    ASSERT_EQ(record["state"].size(), state_size);
    ASSERT_EQ(record["action"].size(), action_size);
    EXPECT_EQ(last.contains(episode), step > 0);
    if (step > 0) {
      const auto& before = last[episode];
      EXPECT_EQ(before["step"], step - 1);
      for (int axis = 0; axis < 3; ++axis) {
        const double moved = record["state"][axis].get<double>() - before["state"][axis].get<double>();
        EXPECT_NEAR(moved, largest_step * before["action"][axis].get<double>(), 1e-6);
      }
    }
    last[episode] = record;
  }
  EXPECT_EQ(last.size(), 6);
}

TEST(Collect, TheSameSettingsGiveTheSameBytesWithAnyProcesses) {
  const TempFolder folder;
  ASSERT_EQ(collect(folder.path() / "one", "--episodes 4 --frames 12 --seed 3 --processes 1"), 0);
  ASSERT_EQ(collect(folder.path() / "two", "--episodes 4 --frames 12 --seed 3 --processes 2"), 0);
  ASSERT_EQ(collect(folder.path() / "other", "--episodes 4 --frames 12 --seed 4"), 0);
  for (const auto* name : {"demos-000.tar", "frames-000.tar"}) {
    const auto one = vlalign::read_file(folder.path() / "one" / name);
    EXPECT_EQ(one, vlalign::read_file(folder.path() / "two" / name));
    EXPECT_NE(one, vlalign::read_file(folder.path() / "other" / name));
  }
}

TEST(Collect, SaysWhyItCannotDrawAndLeavesNoFolder) {
  const TempFolder folder;
  const auto out = folder.path() / "data";
  const auto command = fmt::format(
      "__EGL_VENDOR_LIBRARY_FILENAMES=/nowhere {} collect --out {} --episodes 2 --frames 0", TABLETOP, out.string());
  EXPECT_NE(std::system((command + " 2> " + out.string() + ".log").c_str()), 0);
  EXPECT_EQ(vlalign::read_file(out.string() + ".log").find("tabletop: [Camera] EGL has no surfaceless display"), 0);
  EXPECT_FALSE(fs::exists(out));
}

TEST(Collect, LeavesAFolderWithSomethingElseAlone) {
  const TempFolder folder;
  const auto taken = folder.path() / "taken";
  fs::create_directories(taken);
  vlalign::write_file_atomically(taken / "mine", "mine");
  EXPECT_NE(collect(taken, "--episodes 1 --frames 1"), 0);
  EXPECT_EQ(vlalign::read_file(taken / "mine"), "mine");
}

}  // namespace
}  // namespace tabletop::collect_test
