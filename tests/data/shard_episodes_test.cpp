#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>

#include <limits>
#include <map>
#include <random>

#include "core/random_permutation.hpp"
#include "data/pairs_fixture.hpp"
#include "data/tar_of.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/sources/episodes.hpp"

namespace vlalign::test::shard_episodes_test {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

constexpr std::uint8_t grey_of(std::size_t episode, std::int64_t step) {
  return static_cast<std::uint8_t>(20 + 40 * episode + 3 * static_cast<std::size_t>(step));
}

std::string png_of(std::uint8_t grey) { return text_of(encode_png({2, 2, std::vector<std::uint8_t>(12, grey)})); }

/// Demonstrations as lists of steps.
struct Demonstration {
  std::string name;
  json instruction;
  std::vector<std::vector<float>> states, actions;
};

std::vector<Demonstration> demonstrations() {
  std::vector<Demonstration> all = {{"000012", "pick up the red cup", {}, {}},
                                    {"b", json::array({"push it", "把它推开"}), {}, {}},
                                    {"a", "wave", {}, {}}};
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  const std::vector<std::size_t> lengths = {5, 3, 1};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t step = 0; step < lengths[i]; ++step) {
      all[i].states.push_back({normal(random), normal(random)});
      all[i].actions.push_back({normal(random), normal(random), normal(random)});
    }
  }
  return all;
}

json record_of(const Demonstration& demonstration, std::size_t step) {
  return {{"episode", demonstration.name},
          {"step", step},
          {"instruction", demonstration.instruction},
          {"state", demonstration.states[step]},
          {"action", demonstration.actions[step]},
          {"caption", demonstration.name + " at " + std::to_string(step)}};
}

/// A record a step, keyed 0000, 0001, ...
std::vector<Members> records_of(const std::vector<Demonstration>& all) {
  std::vector<Members> records;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t step = 0; step < all[i].states.size(); ++step) {
      const auto key = fmt::format("{:04}", records.size());
      records.push_back({{key + ".png", png_of(grey_of(i, static_cast<std::int64_t>(step)))},
                         {key + ".json", record_of(all[i], step).dump()}});
    }
  }
  return records;
}

Captions as_list(const json& instruction) {
  return instruction.is_array() ? Captions(instruction) : Captions{std::string(instruction)};
}

at::Tensor tensor_of(const std::vector<std::vector<float>>& rows) {
  std::vector<float> all;
  for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
  return at::tensor(all).view({static_cast<std::int64_t>(rows.size()), -1});
}

/// The demonstration's steps, its picture with each.
void expect_episode(const EpisodeSource& source, std::int64_t index, const std::vector<Demonstration>& all) {
  const auto& episode = source.episode(index);
  const auto number = static_cast<std::size_t>(
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == episode.name; }) - all.begin());
  ASSERT_LT(number, all.size()) << episode.name;
  const auto& expected = all[number];
  EXPECT_EQ(episode.instructions, as_list(expected.instruction));
  EXPECT_TRUE(at::equal(episode.states, tensor_of(expected.states))) << episode.states;
  EXPECT_TRUE(at::equal(episode.actions, tensor_of(expected.actions))) << episode.actions;
  for (std::int64_t step = 0; step < episode.actions.size(0); ++step) {
    const auto image = source.frame(index, step, PixelsAs::vlalign);
    EXPECT_EQ(image.rgb, std::vector<std::uint8_t>(12, grey_of(number, step))) << episode.name << " at " << step;
  }
}

class ShardEpisodes : public Pairs {
 protected:
  std::string error_of_record(const json& record) const {
    return error_of_members({{"7.png", png_of(1)}, {"7.json", record.dump()}});
  }

  /// Of a shard whose first record is whole.
  std::string error_of_members(const Members& more) const {
    const auto good = json{{"episode", "e"}, {"step", 0}, {"instruction", "go"}, {"state", {1, 2}}, {"action", {3}}};
    Members members = {{"6.png", png_of(1)}, {"6.json", good.dump()}};
    members.insert(members.end(), more.begin(), more.end());
    try {
      open_episodes(write("a.tar", tar_of(members)));
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }
};

TEST_F(ShardEpisodes, GivesTheStepsOfEachEpisodeWhateverTheOrderOfTheRecords) {
  const auto all = demonstrations();
  const auto records = records_of(all);
  for (std::uint64_t round = 0; round < 8; ++round) {
    std::vector<Members> shards(2);
    for (const auto i : random_permutation(static_cast<std::int64_t>(records.size()), {round})) {
      const auto& record = records[static_cast<std::size_t>(i)];
      auto& shard = shards[static_cast<std::size_t>(i % 2)];  // so that two episodes lie in both
      shard.insert(shard.end(), record.begin(), record.end());
    }
    for (std::size_t i = 0; i < shards.size(); ++i) write(fmt::format("{}.tar", i), tar_of(shards[i]));
    const auto source = open_episodes((folder_ / "{0..1}.tar").string());
    ASSERT_EQ(source->size(), 3);
    std::map<std::string, int> names;
    for (std::int64_t i = 0; i < 3; ++i) {
      ++names[source->episode(i).name];
      expect_episode(*source, i, all);
    }
    EXPECT_EQ(names.size(), 3U);
  }
}

TEST_F(ShardEpisodes, KeepsTheEpisodesInTheOrderInWhichTheyBegin) {
  Members members;
  for (const auto& record : records_of(demonstrations())) members.insert(members.end(), record.begin(), record.end());
  const auto source = open_episodes(write("a.tar", tar_of(members)));
  EXPECT_EQ(source->episode(0).name, "000012");
  EXPECT_EQ(source->episode(1).name, "b");
  EXPECT_EQ(source->episode(2).name, "a");
}

TEST_F(ShardEpisodes, AreASourceOfPairsTooWhereTheyHaveCaptions) {
  const auto all = demonstrations();
  Members members;
  for (const auto& record : records_of(all)) members.insert(members.end(), record.begin(), record.end());
  const auto shard = write("a.tar", tar_of(members));
  const auto pairs = open_pairs(shard);
  std::int64_t record = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t step = 0; step < all[i].states.size(); ++step, ++record) {
      const auto pair = pairs->read(record);
      EXPECT_EQ(pair.captions, Captions{all[i].name + " at " + std::to_string(step)});
      EXPECT_EQ(text_of(pair.image), png_of(grey_of(i, static_cast<std::int64_t>(step))));
    }
  }
  EXPECT_EQ(record, pairs->size());
}

TEST_F(ShardEpisodes, NeedNoState) {
  Members members;
  for (int step = 0; step < 3; ++step) {
    const auto key = std::to_string(step);
    const auto record = json{{"episode", "e"}, {"step", step}, {"instruction", "go"}, {"action", {step}}};
    members.push_back({key + ".png", png_of(1)});
    members.push_back({key + ".json", record.dump()});
  }
  const auto source = open_episodes(write("a.tar", tar_of(members)));
  EXPECT_EQ(source->episode(0).states.sizes(), (at::IntArrayRef{3, 0}));
  EXPECT_EQ(source->episode(0).states.scalar_type(), at::kFloat);
  EXPECT_EQ(source->episode(0).actions.sizes(), (at::IntArrayRef{3, 1}));
}

TEST_F(ShardEpisodes, RefuseARecordThatIsNotWholeAndSayWhichAndWhy) {
  const json good{{"episode", "e"}, {"step", 1}, {"instruction", "go"}, {"state", {1, 2}}, {"action", {3}}};
  EXPECT_EQ(error_of_record(good), "nothing was thrown");
  const auto error_with = [&](const std::string& key, const json& value) {
    auto record = good;
    record[key] = value;
    const auto error = error_of_record(record);
    EXPECT_HAS(error, "a.tar:7: ");
    return error;
  };
  const auto error_without = [&](const std::string& key) {
    auto record = good;
    record.erase(key);
    const auto error = error_of_record(record);
    EXPECT_HAS(error, "a.tar:7: ");
    return error;
  };
  EXPECT_HAS(error_with("state", json::array({1, 2, 3})),
             "expected 2 numbers in \"state\" as in the records before, got 3");
  EXPECT_HAS(error_without("state"), "expected 2 numbers in \"state\" as in the records before, got 0");
  EXPECT_HAS(error_with("state", 4), "expected \"state\" to be a list of numbers");
  EXPECT_HAS(error_with("state", json::array({1, "x"})), "expected \"state\" to be a list of numbers, \"x\" is none");
  EXPECT_HAS(error_with("state", json::array({1, nullptr})), "\"state\" to be a list of numbers, null is none");
  EXPECT_HAS(error_with("action", json::array({1, 2})), "expected 1 numbers in \"action\"");
  EXPECT_HAS(error_with("action", json::array({1e39})), "expected numbers in \"action\" that float32 holds, got 1e+39");
  EXPECT_HAS(error_with("action", json::array()), "no \"action\": expected a list of numbers");
  EXPECT_HAS(error_without("action"), "no \"action\": expected a list of numbers");
  EXPECT_HAS(error_with("episode", 3), "expected \"episode\" to be a string");
  EXPECT_HAS(error_without("episode"), "expected \"episode\" to be a string");
  EXPECT_HAS(error_with("step", -1), "expected \"step\" to be an integer from 0 on");
  EXPECT_HAS(error_with("step", 1.5), "expected \"step\" to be an integer from 0 on");
  EXPECT_HAS(error_with("step", std::numeric_limits<std::uint64_t>::max()), "integer from 0 on");
  EXPECT_HAS(error_without("instruction"), "expected \"instruction\" to be a string or a list");
  EXPECT_HAS(error_with("instruction", json::array()), "expected \"instruction\" to be a string or a list");
  EXPECT_HAS(error_with("instruction", json::array({"go", " "})), "strings that aren't blank");
  EXPECT_HAS(error_with("instruction", "stop"), "expected the instruction of episode e's other steps, [\"go\"]");
  EXPECT_HAS(error_of_record(json::array({1})), "a.tar:7: expected a JSON object");
  EXPECT_HAS(error_of_members({{"7.png", png_of(1)}, {"7.json", "{\"step\": 1"}}), "a.tar:7: not JSON");
  EXPECT_HAS(error_of_members({{"7.png", png_of(1)}, {"7.json", "{\"action\": [}"}}), "a.tar:7: not JSON");
  const auto error_of_text = [&](const std::string& text) {
    return error_of_members({{"7.png", png_of(1)}, {"7.json", text}});
  };
  const std::string nan = R"({"episode": "e", "step": 1, "instruction": ["go"], "state": [1, 2], "action": [NaN]})";
  EXPECT_HAS(error_of_text(nan), "a.tar:7: expected \"action\" to be a list of numbers, NaN is none");
  EXPECT_HAS(error_of_text(R"({"episode": NaN, "step": 1})"), "a.tar:7: expected \"episode\" to be a string");
  EXPECT_HAS(error_of_text(R"({"episode": "e", "step": 1, "instruction": ["\ud800"]})"),
             "a.tar:7: expected \"instruction\" to be a string or a list");
  EXPECT_HAS(error_of_members({{"7.json", good.dump()}}), "a.tar:7: expected a picture");
  EXPECT_HAS(error_of_members({{"7.png", png_of(1)}}), "a.tar:7: expected a .json beside the picture");
}

TEST_F(ShardEpisodes, RefuseAStepThatIsMissingOrThereTwice) {
  json record{{"episode", "e"}, {"step", 2}, {"instruction", "go"}, {"state", {1, 2}}, {"action", {3}}};
  EXPECT_HAS(error_of_record(record), "a.tar:7: step 2 of episode e, but no record has step 1");
  record["step"] = 0;
  const auto twice = error_of_record(record);
  EXPECT_HAS(twice, "a.tar:7: step 0 of episode e is in ");
  EXPECT_HAS(twice, "a.tar:6 already");
  record["episode"] = "other";
  record["step"] = 1;
  EXPECT_HAS(error_of_record(record), "a.tar:7: step 1 of episode other, but no record has step 0");
}

TEST_F(ShardEpisodes, RefuseWhatHoldsNoDemonstrations) {
  const auto error_at_location = [](const std::string& location) -> std::string {
    try {
      open_episodes(location);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_HAS(error_at_location(write("a.tar", tar_of({}))), "a.tar: no demonstrations in it");
  EXPECT_HAS(error_at_location(write("a.tsv", "x\ty\n")), "a.tsv: expected a LeRobot dataset's folder, or tar shards");
  EXPECT_HAS(error_at_location((folder_ / "none.tar").string()), "none.tar: no such file");
  EXPECT_HAS(error_at_location(""), "no location given");
}

TEST_F(ShardEpisodes, NameTheRecordOfAFrameThatCannotBeDecodedAndOfOneThatIsNotThere) {
  const json record{{"episode", "e"}, {"step", 0}, {"instruction", "go"}, {"action", {3}}};
  const auto source = open_episodes(write("a.tar", tar_of({{"7.png", "no picture"}, {"7.json", record.dump()}})));
  const auto error_of_frame = [&](std::int64_t episode, std::int64_t step) -> std::string {
    try {
      source->frame(episode, step, PixelsAs::vlalign);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_HAS(error_of_frame(0, 0), "a.tar:7: ");
  EXPECT_HAS(error_of_frame(1, 0), "episode 1: expected 0 to 0");
  EXPECT_HAS(error_of_frame(0, 1), "step 1 of episode 0: expected 0 to 0");
  EXPECT_HAS(error_of_frame(0, -1), "step -1 of episode 0: expected 0 to 0");
}

}  // namespace
}  // namespace vlalign::test::shard_episodes_test
