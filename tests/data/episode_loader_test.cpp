#include "vlalign/data/loading/episode_loader.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "support/byte_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::episode_loader_test {
namespace {

using test::ByteTokenizer;

constexpr int side = 4;
constexpr std::int64_t state_size = 2;
constexpr std::int64_t action_size = 3;
const std::vector<std::int64_t> lengths = {5, 1, 9, 2, 7};
constexpr std::int64_t all_steps = 24;

/// Demonstrations in memory; every pixel of a frame is the step's number, counted through all of them. Episode e is
/// told "e:0", "e:1", ...
class NumberedEpisodes : public EpisodeSource {
 public:
  explicit NumberedEpisodes(int instructions = 1, std::set<std::int64_t> bad = {}) : bad_(std::move(bad)) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const auto length : lengths) {
      Episode episode;
      episode.name = std::to_string(episodes_.size());
      for (int i = 0; i < instructions; ++i) episode.instructions.push_back(episode.name + ":" + std::to_string(i));
      episode.states = at::empty({length, state_size}, at::kFloat);
      episode.actions = at::empty({length, action_size}, at::kFloat);
      for (auto* values : {&episode.states, &episode.actions}) {
        for (std::int64_t i = 0; i < values->numel(); ++i) values->data_ptr<float>()[i] = normal(random);
      }
      episodes_.push_back(std::move(episode));
    }
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(episodes_.size()); }
  const Episode& episode(std::int64_t index) const override { return episodes_.at(static_cast<std::size_t>(index)); }
  Image frame(std::int64_t index, std::int64_t step, PixelsAs) const override {
    const auto number = number_of(index, step);
    if (bad_.contains(number)) throw Error("its picture is broken");
    return {side, side, std::vector<std::uint8_t>(std::size_t{3} * side * side, static_cast<std::uint8_t>(number))};
  }

  static std::int64_t number_of(std::int64_t index, std::int64_t step) {
    for (std::int64_t e = 0; e < index; ++e) step += lengths[static_cast<std::size_t>(e)];
    return step;
  }

 private:
  std::vector<Episode> episodes_;
  std::set<std::int64_t> bad_;
};

EpisodeLoader make_loader(std::shared_ptr<const EpisodeSource> source, const EpisodeLoaderOptions& options) {
  return EpisodeLoader(std::move(source), std::make_shared<ByteTokenizer>(), 16, {.image_size = side}, options);
}

/// The number of the step that a row shows.
std::int64_t step_shown(const EpisodeBatch& batch, std::int64_t row) {
  return batch.pixels.select(0, row).max().item<std::int64_t>();
}

std::string told(const EpisodeBatch& batch, std::int64_t row) {
  const auto* ids = batch.tokens.data_ptr<std::int64_t>() + row * batch.tokens.size(1);
  return ByteTokenizer().decode({ids, static_cast<std::size_t>(batch.tokens.size(1))});
}

void expect_same(const EpisodeBatch& a, const EpisodeBatch& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.epoch, b.epoch);
  for (const auto& [one, other] : {std::pair(a.pixels, b.pixels),
                                   {a.tokens, b.tokens},
                                   {a.state, b.state},
                                   {a.actions, b.actions},
                                   {a.mask, b.mask}}) {
    EXPECT_TRUE(at::equal(one, other));
  }
}

/// What a step's row should hold, cut out of its episode by hand.
void expect_cut(const EpisodeBatch& batch, std::int64_t row, const EpisodeSource& source, std::int64_t horizon) {
  std::int64_t index = 0, step = step_shown(batch, row);
  while (step >= lengths[static_cast<std::size_t>(index)]) step -= lengths[static_cast<std::size_t>(index++)];
  const auto& episode = source.episode(index);
  for (std::int64_t s = 0; s < state_size; ++s) {
    EXPECT_EQ(batch.state[row][s].item<float>(), episode.states[step][s].item<float>());
  }
  for (std::int64_t h = 0; h < horizon; ++h) {
    const bool inside = step + h < lengths[static_cast<std::size_t>(index)];
    EXPECT_EQ(batch.mask[row][h].item<bool>(), inside) << "step " << step << " + " << h << " of episode " << index;
    for (std::int64_t a = 0; a < action_size; ++a) {
      EXPECT_EQ(batch.actions[row][h][a].item<float>(), inside ? episode.actions[step + h][a].item<float>() : 0.0F);
    }
  }
  EXPECT_EQ(told(batch, row), episode.name + ":0");
}

TEST(EpisodeLoaderTest, CutsOutOfEachEpisodeWhatWasDoneFromAStepOn) {
  const auto source = std::make_shared<NumberedEpisodes>();
  for (const std::int64_t horizon : {1, 4, 12}) {
    auto loader = make_loader(source, {.batch_size = 6, .horizon = horizon, .threads = 2});
    ASSERT_EQ(loader.batches_per_epoch(), 4);
    for (int epoch = 0; epoch < 2; ++epoch) {
      std::set<std::int64_t> seen;
      for (int i = 0; i < 4; ++i) {
        const auto batch = loader.next();
        EXPECT_EQ(batch.epoch, epoch);
        ASSERT_EQ(batch.pixels.sizes(), (at::IntArrayRef{6, 3, side, side}));
        ASSERT_EQ(batch.state.sizes(), (at::IntArrayRef{6, state_size}));
        ASSERT_EQ(batch.actions.sizes(), (at::IntArrayRef{6, horizon, action_size}));
        ASSERT_EQ(batch.mask.sizes(), (at::IntArrayRef{6, horizon}));
        for (std::int64_t row = 0; row < 6; ++row) {
          seen.insert(step_shown(batch, row));
          expect_cut(batch, row, *source, horizon);
        }
      }
      EXPECT_EQ(seen.size(), static_cast<std::size_t>(all_steps));
    }
  }
}

TEST(EpisodeLoaderTest, KeepsTheOrderOfTheSourceWithoutShuffling) {
  auto loader = make_loader(std::make_shared<NumberedEpisodes>(), {.batch_size = all_steps, .shuffle = false});
  const auto batch = loader.next();
  for (std::int64_t row = 0; row < all_steps; ++row) EXPECT_EQ(step_shown(batch, row), row);
}

TEST(EpisodeLoaderTest, GivesTheSameBatchesForAnyNumberOfThreadsAndAfterASeek) {
  const auto source = std::make_shared<NumberedEpisodes>(3);
  EpisodeLoaderOptions options{.batch_size = 5, .horizon = 3, .seed = 4, .augmentation = {.brightness = 0.5}};
  auto reference = make_loader(source, options);
  std::vector<EpisodeBatch> expected;
  for (int i = 0; i < 14; ++i) expected.push_back(reference.next());
  options.threads = 3;
  options.cache_mb = 0;
  auto loader = make_loader(source, options);
  for (const auto& batch : expected) expect_same(loader.next(), batch);
  for (const std::size_t start : {9U, 0U, 3U}) {
    loader.seek(static_cast<std::int64_t>(start));
    for (auto i = start; i < start + 4; ++i) expect_same(loader.next(), expected[i]);
  }
}

TEST(EpisodeLoaderTest, PicksEachInstructionEquallyOften) {
  constexpr int epochs = 200;
  auto loader = make_loader(std::make_shared<NumberedEpisodes>(3), {.batch_size = all_steps, .shuffle = false});
  std::map<std::string, int> counts;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto batch = loader.next();
    for (std::int64_t row = 0; row < all_steps; ++row) ++counts[told(batch, row)];
  }
  EXPECT_EQ(counts.size(), 3 * lengths.size());
  for (const auto& [instruction, count] : counts) {
    const auto drawn = epochs * lengths[static_cast<std::size_t>(instruction[0] - '0')];
    const auto deviation = std::sqrt(static_cast<double>(drawn) * (1.0 / 3) * (2.0 / 3));
    EXPECT_NEAR(count, static_cast<double>(drawn) / 3, 4 * deviation) << instruction;
  }
}

TEST(EpisodeLoaderTest, LeavesOutFramesThatCannotBeRead) {
  const auto source = std::make_shared<NumberedEpisodes>(1, std::set<std::int64_t>{0, 8});
  auto loader = make_loader(source, {.batch_size = all_steps, .horizon = 4, .shuffle = false});
  const auto batch = loader.next();
  ASSERT_EQ(batch.pixels.size(0), all_steps - 2);
  for (std::int64_t row = 0; row < all_steps - 2; ++row) expect_cut(batch, row, *source, 4);
  EXPECT_EQ(loader.bad_records(), (std::vector<std::string>{"episode 0, step 0: its picture is broken",
                                                            "episode 2, step 2: its picture is broken"}));
}

TEST(EpisodeLoaderTest, StopsWhenTooManyFramesAreBad) {
  std::set<std::int64_t> bad;
  for (std::int64_t number = 0; number < 12; ++number) bad.insert(number);
  auto loader = make_loader(std::make_shared<NumberedEpisodes>(1, bad), {.batch_size = all_steps});
  EXPECT_THROW(loader.next(), Error);
}

/// The numbers of the steps that a row's clip shows.
std::vector<std::int64_t> steps_shown(const EpisodeBatch& batch, std::int64_t row) {
  std::vector<std::int64_t> steps;
  for (std::int64_t f = 0; f < batch.frames.size(1); ++f)
    steps.push_back(batch.frames[row][f].max().item<std::int64_t>());
  return steps;
}

/// Steps of episodes 0, 2 and 4, which alone have three or more.
constexpr std::int64_t steps_of_long_episodes = 21;

TEST(EpisodeLoaderTest, ClipsAreDifferentFramesOfOneEpisodeInTheOrderOfTime) {
  auto loader = make_loader(std::make_shared<NumberedEpisodes>(),
                            {.batch_size = steps_of_long_episodes, .clip = {.frames = 3}, .shuffle = false});
  EXPECT_EQ(loader.bad_records(), (std::vector<std::string>{"episode 1: 1 step(s), and a clip of 3 frames needs 3",
                                                            "episode 3: 2 step(s), and a clip of 3 frames needs 3"}));
  std::map<std::vector<std::int64_t>, int> clips_of_step_1;
  constexpr int epochs = 600;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto batch = loader.next();
    ASSERT_EQ(batch.frames.sizes(), (at::IntArrayRef{steps_of_long_episodes, 3, 3, side, side}));
    EXPECT_TRUE(at::equal(batch.pixels, batch.frames.select(1, 2)));
    std::int64_t row = 0;
    for (const std::size_t e : {0, 2, 4}) {
      const auto first = NumberedEpisodes::number_of(static_cast<std::int64_t>(e), 0);
      for (std::int64_t step = 0; step < lengths[e]; ++step, ++row) {
        const auto steps = steps_shown(batch, row);
        EXPECT_TRUE(first <= steps[0] && steps[0] < steps[1] && steps[1] < steps[2] && steps[2] < first + lengths[e]);
        EXPECT_EQ(std::count(steps.begin(), steps.end(), first + step), 1);
      }
    }
    ++clips_of_step_1[steps_shown(batch, 1)];
  }
  // Two of the four others: six clips, equally often. The deviation of each count is 9.
  ASSERT_EQ(clips_of_step_1.size(), 6U);
  for (const auto& [clip, count] : clips_of_step_1) EXPECT_NEAR(count, epochs / 6, 40);
}

TEST(EpisodeLoaderTest, ClipsToAGoalAreAStartAStepTheNextAndAGoal) {
  constexpr std::int64_t steps_of_two_and_more = 23;
  auto loader =
      make_loader(std::make_shared<NumberedEpisodes>(),
                  {.batch_size = steps_of_two_and_more, .clip = {.frames = 4, .to_goal = true}, .shuffle = false});
  EXPECT_EQ(loader.bad_records(), (std::vector<std::string>{"episode 1: 1 step(s), and a clip of 4 frames needs 2"}));
  std::map<std::vector<std::int64_t>, int> clips_of_step_2;
  constexpr int epochs = 600;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto batch = loader.next();
    std::int64_t row = 0;
    for (const std::size_t e : {0, 2, 3, 4}) {
      const auto first = NumberedEpisodes::number_of(static_cast<std::int64_t>(e), 0), last = first + lengths[e] - 1;
      for (std::int64_t step = first; step <= last; ++step, ++row) {
        const auto steps = steps_shown(batch, row);
        EXPECT_EQ(steps[1], std::min(step, last - 1));
        EXPECT_EQ(steps[2], steps[1] + 1);
        EXPECT_TRUE(first <= steps[0] && steps[0] <= steps[1] && steps[2] <= steps[3] && steps[3] <= last);
      }
    }
    ++clips_of_step_2[steps_shown(batch, 2)];
  }
  // Step 2 of 0 to 4: three starts and two goals.
  ASSERT_EQ(clips_of_step_2.size(), 6U);
  for (const auto& [clip, count] : clips_of_step_2) EXPECT_NEAR(count, epochs / 6, 40);
}

TEST(EpisodeLoaderTest, ClipsAreTheSameForAnyNumberOfThreadsAndAfterASeek) {
  const auto source = std::make_shared<NumberedEpisodes>();
  EpisodeLoaderOptions options{.batch_size = 5, .clip = {.frames = 3}, .seed = 4};
  auto reference = make_loader(source, options);
  std::vector<EpisodeBatch> expected;
  for (int i = 0; i < 9; ++i) expected.push_back(reference.next());
  options.threads = 3;
  options.cache_mb = 0;
  auto loader = make_loader(source, options);
  loader.seek(3);
  for (std::size_t i = 3; i < 9; ++i) {
    const auto batch = loader.next();
    EXPECT_TRUE(at::equal(batch.frames, expected[i].frames));
    expect_same(batch, expected[i]);
  }
}

/// Every frame is the same slope from dark to bright.
class SlopingEpisodes : public NumberedEpisodes {
 public:
  Image frame(std::int64_t, std::int64_t, PixelsAs) const override {
    Image image{16, 16, std::vector<std::uint8_t>(std::size_t{3} * 16 * 16)};
    for (std::size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<std::uint8_t>(i / 3);
    return image;
  }
};

TEST(EpisodeLoaderTest, AClipsFramesAreAugmentedAlikeAndEachClipOtherwise) {
  auto loader = make_loader(std::make_shared<SlopingEpisodes>(),
                            {.batch_size = 8, .clip = {.frames = 3}, .augmentation = augmentation_policy("strong")});
  const auto frames = loader.next().frames;
  for (std::int64_t row = 0; row < 8; ++row) {
    EXPECT_TRUE(at::equal(frames[row][0], frames[row][1]));
    EXPECT_TRUE(at::equal(frames[row][0], frames[row][2]));
  }
  EXPECT_FALSE(at::equal(frames[0], frames[1]));
}

TEST(EpisodeLoaderTest, AClipWithAFrameThatCannotBeReadIsLeftOutAndTheFrameNamedOnce) {
  const auto source = std::make_shared<NumberedEpisodes>(1, std::set<std::int64_t>{8});  // step 2 of episode 2
  auto loader = make_loader(source, {.batch_size = steps_of_long_episodes, .clip = {.frames = 3}, .max_bad = 1});
  std::int64_t left_out = 0;
  for (int epoch = 0; epoch < 5; ++epoch) {
    const auto batch = loader.next();
    left_out += steps_of_long_episodes - batch.frames.size(0);
    for (std::int64_t row = 0; row < batch.frames.size(0); ++row)
      for (const auto step : steps_shown(batch, row)) EXPECT_NE(step, 8);
  }
  EXPECT_GT(left_out, 5);  // its own clip, and those that draw it
  const auto bad = loader.bad_records();
  ASSERT_EQ(bad.size(), 3U);
  EXPECT_EQ(bad[2], "episode 2, step 2: its picture is broken");
}

TEST(EpisodeLoaderTest, RefusesOptionsOutOfRange) {
  const auto refusal = [](const EpisodeLoaderOptions& options) -> std::string {
    try {
      make_loader(std::make_shared<NumberedEpisodes>(), options);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_EQ(refusal({.batch_size = 4, .horizon = 0}), "[EpisodeLoader] horizon: expected at least 1, got 0");
  EXPECT_EQ(refusal({.batch_size = 4, .threads = 0}), "[EpisodeLoader] threads: expected at least 1, got 0");
  EXPECT_EQ(refusal({.clip = {.frames = -1}}), "[EpisodeLoader] clip.frames: expected 0 or more, got -1");
  EXPECT_EQ(refusal({.clip = {.frames = 3, .to_goal = true}}),
            "[EpisodeLoader] clip.frames: expected 4 to a goal (start, one step, the next, goal), got 3");
  EXPECT_EQ(refusal({.batch_size = 4, .clip = {.frames = 10}}),
            "[EpisodeLoader] no episode is long enough; the first is episode 0: 5 step(s), and a clip of 10 frames "
            "needs 10");
  EXPECT_EQ(
      refusal({.batch_size = 25}),
      "[EpisodeLoader] batch size 25 is larger than the data set's 24 steps: it has no full batch; choose at most "
      "24");
}

}  // namespace
}  // namespace vlalign::episode_loader_test
