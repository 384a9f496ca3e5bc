#include "train/run_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "core/io/partial.hpp"
#include "support/colours.hpp"
#include "support/file_size_limit.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::run_folder_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::Colours;
using test::FileSizeLimit;
using test::message_of;
using test::TempFolder;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& path : entries_of(folder)) names.push_back(path.filename().string());
  return names;
}

void put(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

/// A run of 6 steps with checkpoints at 2, 4 and 6; none is started twice.
class RunOfColours : public Colours {
 protected:
  void SetUp() override {
    Colours::SetUp();
    how_ = options(6);
    how_.checkpoints.every = 2;
    how_.out = runs_.path() / "run";
    train(whole_, how_);
    how_.resume = true;
    checkpoints_ = how_.out / "checkpoints";
  }

  /// Of a resumed run that must not have touched the metrics.
  std::string complaint() {
    const auto metrics = how_.out / "metrics.jsonl";
    const auto before = read_file(metrics);
    const auto message = message_of<Error>([&] { train(model(9), how_); });
    EXPECT_EQ(read_file(metrics), before);
    return message;
  }

  TempFolder runs_;
  DualEncoder whole_ = model();
  TrainerOptions how_;
  fs::path checkpoints_;
};

TEST_F(RunOfColours, GoesOnFromNothingButAWholeCheckpoint) {
  const auto latest = checkpoints_ / "latest";
  const std::string ways = "which is no whole checkpoint beside it; write the name of another into " + latest.string() +
                           ": step-00000002, step-00000004, step-00000006";
  fs::create_directory(checkpoints_ / "step-00000005");  // without what a trainer needs
  for (const std::string name :
       {"", "step-00000008", "../model", "step-4", "step-00000005", "/etc", "step-00000004\nstep-00000002"}) {
    put(latest, name + "\n");
    EXPECT_EQ(complaint(), latest.string() + ": names \"" + name + "\", " + ways);
  }
  fs::remove(latest);
  fs::create_symlink("nowhere", latest);
  EXPECT_EQ(complaint(), latest.string() + ": names \"\", " + ways);
  fs::remove(latest);
  put(latest, "step-00000004\n");
  const auto resumed = model(9);
  train(resumed, how_);
  expect_equal_bits(whole_, resumed);
}

TEST_F(RunOfColours, GoesOnFromTheNewestCheckpointWhenAKillLeftItUnnamed) {
  fs::remove(checkpoints_ / "latest");
  fs::remove_all(checkpoints_ / "step-00000006");
  const auto resumed = model(9);
  int steps = 0;
  Trainer trainer(resumed, InfoNCE(), how_);
  trainer.on_step([&](const StepResult&) { ++steps; });
  trainer.fit(pairs_);
  EXPECT_EQ(steps, 2);
  expect_equal_bits(whole_, resumed);
}

TEST_F(RunOfColours, DoesNotBeginAgainWhenItsCheckpointsAreGone) {
  fs::rename(checkpoints_, runs_.path() / "aside");
  EXPECT_EQ(complaint(), how_.out.string() +
                             ": metrics.jsonl is there and checkpoints/ is not; put it back, or move the folder "
                             "away to begin again");
  EXPECT_FALSE(fs::exists(checkpoints_));
  fs::create_directory(checkpoints_);
  EXPECT_EQ(complaint(), how_.out.string() + ": the run is over and its checkpoints are gone; move the folder away");
  fs::remove(checkpoints_);
  fs::rename(runs_.path() / "aside", checkpoints_);
  for (const auto* step : {"step-00000002", "step-00000004", "step-00000006"}) fs::remove_all(checkpoints_ / step);
  EXPECT_EQ(complaint(),
            (checkpoints_ / "latest").string() +
                ": names \"step-00000006\", which is no whole checkpoint beside it; there is no other: move "
                "the run folder away to begin again");
}

TEST_F(RunOfColours, BelievesNoNumberThatCannotBe) {
  put(checkpoints_ / "latest", "step-00000004\n");
  const auto file = checkpoints_ / "step-00000004" / "trainer.json";
  const auto good = json::parse(read_file(file));
  EXPECT_EQ(good.at("samples_seen"), 16);
  const auto way_out =
      "; write the name of another into " + (checkpoints_ / "latest").string() + ": step-00000002, step-00000006";
  const auto complaint_with = [&](const char* key, const json& value) {
    auto state = good;
    state[key] = value;
    put(file, state.dump());
    const auto message = complaint();
    EXPECT_EQ(message.find(file.string()), 0U) << message;
    EXPECT_NE(message.find(way_out), std::string::npos) << message;
    return message.substr(file.string().size(), message.find(way_out) - file.string().size());
  };
  EXPECT_EQ(complaint_with("step", 99999), ".step: expected 0 to 6, got 99999");
  EXPECT_EQ(complaint_with("step", -1), ".step: expected 0 to 6, got -1");
  EXPECT_EQ(complaint_with("step", 2), ".step: is 2, in a checkpoint called step-00000004");
  EXPECT_EQ(complaint_with("step", "4"), ".step: not a value of the expected kind: \"4\"");
  EXPECT_EQ(complaint_with("step", 4.5), ".step: not a value of the expected kind: 4.5");
  EXPECT_EQ(complaint_with("samples_seen", 17), ".samples_seen: expected 0 to 16, got 17");
  EXPECT_EQ(complaint_with("skipped_steps", 5), ".skipped_steps: expected 0 to 4, got 5");
  EXPECT_EQ(complaint_with("skipped_in_a_row", 1), ".skipped_in_a_row: expected 0 to 0, got 1");
  EXPECT_EQ(complaint_with("skipped_steps", nullptr), ".skipped_steps is missing");
  put(file, "[4]");
  EXPECT_EQ(complaint(), file.string() + ": expected an object, got array" + way_out);
  put(file, "{");
  EXPECT_EQ(complaint().find(file.string() + ": not JSON"), 0U);
}

TEST_F(RunOfColours, NamesTheLineOfMetricsThatIsWrong) {
  put(checkpoints_ / "latest", "step-00000004\n");
  const auto file = how_.out / "metrics.jsonl";
  const auto good = read_file(file);
  const auto first = good.substr(0, good.find('\n') + 1);
  const auto complaint_with = [&](const std::string& line) {
    put(file, first + line + "\n" + good);
    const auto message = complaint();
    EXPECT_EQ(message.find(file.string() + ":2"), 0U) << message;
    return message.substr(file.string().size() + 2);
  };
  EXPECT_EQ(complaint_with(R"({"step": "2"})"), ".step: not a value of the expected kind: \"2\"");
  EXPECT_EQ(complaint_with(R"({"loss": 2})"), ".step is missing");
  EXPECT_EQ(complaint_with(R"({"step": 1})"), ".step: expected more than 1, the line before, got 1");
  EXPECT_EQ(complaint_with("[2]"), ": expected an object, got array");
  EXPECT_EQ(complaint_with("{\"step\": 2").find(": not JSON"), 0U);

  put(file, good.substr(0, good.size() - 20));  // a kill cut the last line short
  train(model(9), how_);
  EXPECT_EQ(metrics(how_.out).size(), 6U);
}

TEST_F(RunOfColours, SaysSoWhenItsSettingsAreNoObject) {
  put(how_.out / "config.json", "[]");
  EXPECT_EQ(complaint(), (how_.out / "config.json").string() + ": expected an object, got array");
}

TEST_F(RunOfColours, ReplacesNothingOfAStrangers) {
  put(checkpoints_ / "latest", "step-00000004\n");
  for (const auto& place : {how_.out / "model", checkpoints_ / "step-00000006"}) {
    put(place / "notes.txt", "mine");
    EXPECT_EQ(complaint(), place.string() +
                               ": isn't replaced, since it is not empty and not a folder that a run has written: "
                               "notes.txt is in it; choose another name");
    EXPECT_EQ(read_file(place / "notes.txt"), "mine");
    fs::remove(place / "notes.txt");
  }
  put(checkpoints_ / "step-00000002" / "notes.txt", "mine");  // isn't made again
  train(model(9), how_);
  EXPECT_EQ(read_file(checkpoints_ / "step-00000002" / "notes.txt"), "mine");
}

TEST_F(RunOfColours, RemovesWhatAKillLeftAndLeavesTheFilesOfStrangers) {
  const std::vector<std::string> strangers{"notes.partial-1", "x.partial-999", "y.partial-1-old"};
  for (const auto& folder : {how_.out, checkpoints_}) {
    for (const auto& name : strangers) put(folder / name, "mine");
    put(folder / "latest.vlalign.partial-0", "step-");
    fs::create_directories(folder / "step-00000006.vlalign.partial-1" / "encoder");
  }
  const auto before = names_in(how_.out);
  how_.learning_rate = 1;
  complaint();  // a run that is refused touches nothing
  EXPECT_EQ(names_in(how_.out), before);

  how_.learning_rate = 3e-3;
  train(model(9), how_);
  for (const auto& folder : {how_.out, checkpoints_}) {
    for (const auto& name : strangers) EXPECT_EQ(read_file(folder / name), "mine");
    for (const auto& name : names_in(folder)) EXPECT_FALSE(is_partial_name(name)) << name;
  }
}

TEST_F(Colours, ARefusedFolderStaysAsItWas) {
  const TempFolder runs;
  auto how = options(2);
  how.out = runs.path();
  put(how.out / "notes.partial-1", "mine");
  fs::create_directory(how.out / "checkpoints");
  put(how.out / "checkpoints" / "x.partial-999", "mine");
  for (const bool resume : {false, true}) {
    how.resume = resume;
    EXPECT_EQ(message_of<Error>([&] { train(model(), how); }),
              how.out.string() + ": is not empty and holds no run; choose another folder");
    EXPECT_EQ(names_in(how.out), (std::vector<std::string>{"checkpoints", "notes.partial-1"}));
    EXPECT_EQ(names_in(how.out / "checkpoints"), std::vector<std::string>{"x.partial-999"});
  }
  fs::remove_all(how.out / "checkpoints");
  EXPECT_THROW(train(model(), how), Error);
  EXPECT_EQ(names_in(how.out), std::vector<std::string>{"notes.partial-1"});
}

TEST_F(Colours, ARunWhoseFolderCannotBeSaysSo) {
  const TempFolder runs;
  auto how = options(2);
  const auto loop = runs.path() / "loop", file = runs.path() / "file", name = runs.path() / std::string(300, 'n');
  fs::create_symlink("loop", loop);
  put(file, "mine");
  for (const auto& out : {loop, file, file / "run", name}) {
    how.out = out;
    EXPECT_EQ(message_of<Error>([&] { train(model(), how); }).find(out.string() + ": cannot make the run folder"), 0U);
  }
  EXPECT_EQ(read_file(file), "mine");
}

TEST_F(Colours, ACheckpointThatFindsTheDiskFullLeavesTheOneBefore) {
  const TempFolder runs;
  auto how = options(4);
  how.checkpoints.every = 2;
  how.out = runs.path() / "run";
  const auto whole = model(), resumed = model(9);
  Trainer trainer(whole, InfoNCE(), how);
  std::optional<FileSizeLimit> full;
  trainer.on_step([&](const StepResult& r) {
    if (r.step == 4) full.emplace(20000);
  });
  EXPECT_NE(message_of<Error>([&] { trainer.fit(pairs_); }).find("File too large"), std::string::npos);
  full.reset();
  EXPECT_EQ(read_file(how.out / "checkpoints" / "latest"), "step-00000002\n");
  EXPECT_EQ(names_in(how.out / "checkpoints"), (std::vector<std::string>{"latest", "step-00000002"}));
  how.resume = true;
  train(resumed, how);
  expect_equal_bits(whole, resumed);
}

}  // namespace
}  // namespace vlalign::run_folder_test
