// The fixture is tests/fixtures/make_lerobot.py's, whose comment says what its frames show and its numbers are.
#include <dlfcn.h>

#include <atomic>
#include <thread>

#include "core/io/files.hpp"
#include "core/random_permutation.hpp"
#include "data/pairs_fixture.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/loading/episode_loader.hpp"
#include "vlalign/data/sources/episodes.hpp"

namespace vlalign::test::lerobot_episodes_test {
namespace {

constexpr const char* top = "observation.images.top";
constexpr const char* wrist = "observation.images.wrist";
const std::vector<std::int64_t> lengths = {23, 9, 14};

fs::path dataset(const std::string& version) { return fs::path(VLALIGN_FIXTURES) / "lerobot" / version; }

std::string error_at_opening(const fs::path& folder, const EpisodeOptions& options = {}) {
  try {
    open_episodes(folder.string(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

#ifdef VLALIGN_LEROBOT

constexpr auto as = PixelsAs::vlalign;

/// The number whose bits the bars of a picture show, the highest on the left.
int number_shown(const Image& image) {
  int number = 0;
  for (int bar = 0; bar < 8; ++bar) {
    const auto middle = static_cast<std::size_t>(3 * (image.width * (image.height / 2) + 8 * bar + 4));
    number = 2 * number + (image.rgb[middle] > 127 ? 1 : 0);
  }
  return number;
}

struct Step {
  std::int64_t episode, step;
  int number;  // counted through all episodes
};

std::vector<Step> all_steps() {
  std::vector<Step> steps;
  for (std::size_t e = 0; e < lengths.size(); ++e) {
    for (std::int64_t t = 0; t < lengths[e]; ++t) {
      steps.push_back({static_cast<std::int64_t>(e), t, static_cast<int>(steps.size())});
    }
  }
  return steps;
}

/// A copy of a dataset that a test may damage.
class LerobotEpisodes : public Pairs {
 protected:
  fs::path copy_of(const std::string& version) const {
    const auto copy = folder_ / version;
    fs::remove_all(copy);
    fs::copy(dataset(version), copy, fs::copy_options::recursive);
    return copy;
  }

  static void replace(const fs::path& path, const std::string& before, const std::string& after) {
    auto text = read_text(path);
    const auto found = text.find(before);
    ASSERT_NE(found, std::string::npos) << before;
    std::ofstream(path, std::ios::binary) << text.replace(found, before.size(), after);
  }
};

TEST_F(LerobotEpisodes, HoldWhatTheDatasetDoes) {
  for (const auto* version : {"v21", "v30"}) {
    SCOPED_TRACE(version);
    const auto source = open_episodes(dataset(version).string());
    ASSERT_EQ(source->size(), 3);
    const std::vector<Captions> instructions = {{"pick up the red cup"}, {"把它推开"}, {"pick up the red cup"}};
    for (std::int64_t e = 0; e < 3; ++e) {
      const auto& episode = source->episode(e);
      EXPECT_EQ(episode.name, "episode " + std::to_string(e));
      EXPECT_EQ(episode.instructions, instructions[static_cast<std::size_t>(e)]);
      ASSERT_EQ(episode.states.sizes(), (at::IntArrayRef{lengths[static_cast<std::size_t>(e)], 2}));
      ASSERT_EQ(episode.actions.sizes(), (at::IntArrayRef{lengths[static_cast<std::size_t>(e)], 3}));
      for (std::int64_t t = 0; t < episode.actions.size(0); ++t) {
        const auto* state = episode.states.data_ptr<float>() + 2 * t;
        const auto* action = episode.actions.data_ptr<float>() + 3 * t;
        const auto step = static_cast<float>(t), number = static_cast<float>(e);
        EXPECT_EQ(std::vector<float>(state, state + 2), (std::vector<float>{100 * number + step, step / 4}));
        EXPECT_EQ(std::vector<float>(action, action + 3), (std::vector<float>{step, number, step * number - 0.5F}));
      }
    }
  }
}

TEST_F(LerobotEpisodes, GiveTheFrameOfEachStepInAnyOrder) {
  const auto steps = all_steps();
  for (const auto* version : {"v21", "v30"}) {
    for (const auto* camera : {top, wrist}) {
      SCOPED_TRACE(std::string(version) + " " + camera);
      const auto source = open_episodes(dataset(version).string(), {.camera = camera});
      const int shown_more = camera == wrist ? 100 : 0;
      const auto expect_shown = [&](const Step& step) {
        const auto image = source->frame(step.episode, step.step, as);
        ASSERT_EQ(image.width, 64);
        ASSERT_EQ(image.height, 48);
        EXPECT_EQ(number_shown(image), step.number + shown_more);
      };
      for (const auto& step : steps) expect_shown(step);
      for (auto step = steps.rbegin(); step != steps.rend(); ++step) expect_shown(*step);
      for (std::uint64_t round = 0; round < 4; ++round) {
        for (const auto i : random_permutation(static_cast<std::int64_t>(steps.size()), {round})) {
          expect_shown(steps[static_cast<std::size_t>(i)]);
        }
      }
    }
  }
}

TEST_F(LerobotEpisodes, GiveTheSamePixelsHoweverAFrameIsReached) {
  const auto steps = all_steps();
  for (const auto* version : {"v21", "v30"}) {
    const auto source = open_episodes(dataset(version).string());
    std::vector<Image> in_order;
    for (const auto& step : steps) in_order.push_back(source->frame(step.episode, step.step, as));
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      EXPECT_EQ(source->frame(step->episode, step->step, as).rgb, in_order[static_cast<std::size_t>(step->number)].rgb);
    }
  }
}

TEST_F(LerobotEpisodes, ShowBlackAndWhiteAsSuch) {
  const auto image = open_episodes(dataset("v21").string())->frame(0, 15, as);  // 00001111
  const auto pixel = [&](int x) { return &image.rgb[static_cast<std::size_t>(3 * (24 * 64 + x))]; };
  for (int channel = 0; channel < 3; ++channel) {
    EXPECT_LE(pixel(12)[channel], 4);
    EXPECT_GE(pixel(52)[channel], 251);
  }
}

TEST_F(LerobotEpisodes, GiveTheirFramesToSeveralThreads) {
  const auto steps = all_steps();
  for (const auto* camera : {top, wrist}) {
    const auto source = open_episodes(dataset("v30").string(), {.camera = camera});
    const int shown_more = camera == wrist ? 100 : 0;
    std::atomic<int> different = 0;
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (const auto i : random_permutation(static_cast<std::int64_t>(steps.size()), {t})) {
          const auto& step = steps[static_cast<std::size_t>(i)];
          different += number_shown(source->frame(step.episode, step.step, as)) != step.number + shown_more;
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(different, 0);
  }
}

TEST_F(LerobotEpisodes, TakeTheFirstCameraByNameUnlessToldAnother) {
  const auto folder = dataset("v21").string();
  EXPECT_EQ(number_shown(open_episodes(folder)->frame(1, 0, as)), 23);
  EXPECT_EQ(number_shown(open_episodes(folder, {.camera = wrist})->frame(1, 0, as)), 123);
  EXPECT_HAS(error_at_opening(folder, {.camera = "front"}),
             "meta/info.json: no camera \"front\"; expected one of observation.images.top, observation.images.wrist");
  const auto copy = copy_of("v21");
  replace(copy / "meta/info.json", "\"dtype\": \"video\",",
          R"("dtype": "video", "info": {"video.is_depth_map": true},)");
  EXPECT_EQ(number_shown(open_episodes(copy.string())->frame(1, 0, as)), 123);  // depth is no picture
}

TEST_F(LerobotEpisodes, KeepArrowsSymbolsToThemselves) {
  const auto source = open_episodes(dataset("v30").string());
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, "_ZN5arrow19default_memory_poolEv"), nullptr);
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, "av_version_info"), nullptr);
}

TEST_F(LerobotEpisodes, NameTheFileOfWhatIsMissing) {
  for (const auto* version : {"v21", "v30"}) {
    SCOPED_TRACE(version);
    auto copy = copy_of(version);
    fs::remove_all(copy / "videos");
    const auto error = error_at_opening(copy);
    EXPECT_HAS(error, ".mp4: no such file, but episode 0 is in it");
    EXPECT_EQ(open_episodes(copy.string(), {.camera = wrist})->size(), 3);  // which needs no video

    copy = copy_of(version);
    fs::remove_all(copy / "data");
    EXPECT_HAS(error_at_opening(copy), "data: no such folder");

    copy = copy_of(version);
    fs::remove(copy / "meta/info.json");
    EXPECT_HAS(error_at_opening(copy), "a folder of demonstrations is a LeRobot dataset, with meta/info.json");
  }
  auto copy = copy_of("v21");
  fs::remove(copy / "data/chunk-000/episode_000001.parquet");
  EXPECT_HAS(error_at_opening(copy), "no file in data/ has the steps of episode 1");
  copy = copy_of("v21");
  fs::remove(copy / "meta/tasks.jsonl");
  EXPECT_HAS(error_at_opening(copy), "tasks.jsonl");
  copy = copy_of("v30");
  fs::remove(copy / "meta/tasks.parquet");
  EXPECT_HAS(error_at_opening(copy), "tasks.parquet");
}

TEST_F(LerobotEpisodes, RefuseTablesThatContradictEachOther) {
  const auto error_with = [&](const char* file, const std::string& before, const std::string& after) {
    const auto copy = copy_of("v21");
    replace(copy / file, before, after);
    return error_at_opening(copy);
  };
  EXPECT_HAS(error_with("meta/info.json", "v2.1", "v1.6"), "expected codebase_version v2.0, v2.1 or v3.0, got v1.6");
  EXPECT_HAS(error_with("meta/info.json", "video_key", "key"),
             "cannot fill in \"videos/chunk-{episode_chunk:03d}/{key}");
  EXPECT_HAS(error_with("meta/info.json", "\"fps\": 10", "\"fps\": 0"), "meta/info.json: expected fps greater than 0");
  EXPECT_HAS(error_with("meta/tasks.jsonl", "\"task_index\": 1", "\"task_index\": 5"),
             "episode_000001.parquet: episode 1: task_index 1 isn't among meta/tasks");
  EXPECT_HAS(error_with("meta/episodes.jsonl", "\"length\": 9", "\"length\": 8"),
             "episode_000001.parquet: episode 1 has 9 steps, 8 of them in meta/episodes");
  EXPECT_HAS(error_with("meta/episodes.jsonl", "\"episode_index\": 2", "\"episode_index\": 3"),
             "episode_000002.parquet: episode 2 isn't among meta/episodes");
  const auto twice = copy_of("v21");
  fs::copy(twice / "data/chunk-000/episode_000001.parquet", twice / "data/chunk-000/extra.parquet");
  EXPECT_HAS(error_at_opening(twice), "extra.parquet: episode 1 is there twice");
}

TEST_F(LerobotEpisodes, NameTheStepOfAFrameThatIsNotInTheVideo) {
  const auto copy = copy_of("v21");
  // The second episode's video has 9 frames, the first asks for 23.
  const auto videos = copy / "videos/chunk-000" / top;
  fs::copy_file(videos / "episode_000001.mp4", videos / "episode_000000.mp4", fs::copy_options::overwrite_existing);
  const auto source = open_episodes(copy.string());
  EXPECT_EQ(number_shown(source->frame(0, 8, as)), 23 + 8);
  try {
    source->frame(0, 9, as);
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_HAS(text, "episode 0, step 9: ");
    EXPECT_HAS(text, "episode_000000.mp4: no frame at 0.9");
  }
  EXPECT_EQ(number_shown(source->frame(0, 3, as)), 23 + 3);
}

TEST_F(LerobotEpisodes, MeetDamagedFilesWithAnErrorAtWorst) {
  int errors = 0;
  for (const auto* version : {"v21", "v30"}) {
    for (std::uint64_t round = 0; round < 30; ++round) {
      const auto copy = copy_of(version);
      Rng rng({round});
      for (const auto& entry : fs::recursive_directory_iterator(copy)) {
        const auto type = entry.path().extension();
        if (type != ".parquet" && type != ".mp4") continue;
        auto bytes = read_text(entry.path());
        for (int i = 0; i < 4; ++i) {
          const auto place = static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(bytes.size())));
          bytes[place] = static_cast<char>(rng.below(256));
        }
        if (rng.chance(0.2)) bytes.resize(bytes.size() / 2);
        std::ofstream(entry.path(), std::ios::binary) << bytes;
      }
      for (const auto* camera : {top, wrist}) {
        try {
          const auto source = open_episodes(copy.string(), {.camera = camera});
          for (const auto& step : all_steps()) source->frame(step.episode, step.step, as);
        } catch (const Error&) {
          ++errors;
        }
      }
    }
  }
  EXPECT_GT(errors, 30);
}

#else

TEST(LerobotEpisodes, SayWhatToInstallWhereTheyCannotBeRead) {
  const auto error = error_at_opening(dataset("v30"));
  EXPECT_HAS(error, "LeRobot datasets need a vlalign built where Arrow (with Parquet) and FFmpeg's");
  EXPECT_HAS(error, "cmake/setup.sh");
}

#endif

}  // namespace
}  // namespace vlalign::test::lerobot_episodes_test
