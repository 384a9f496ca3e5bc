#include "tabletop/rollout.hpp"

#include <gtest/gtest.h>

#include "tabletop/moving_picture.hpp"
#include "tabletop/words.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace tabletop::rollout_test {
namespace {

namespace vla = vlalign::vla;

vla::Policy untrained(std::uint64_t seed) {
  vlalign::ModelConfig config;
  config.name = "small";
  config.embed_dim = 16;
  config.vision = vlalign::VitConfig{.patch_size = 16, .width = 32, .layers = 1, .head_width = 16};
  config.text = {.context_length = 48, .vocab_size = 514, .width = 32, .heads = 2, .layers = 1};
  config.preprocess.image_size = 64;
  const auto tokenizer = std::make_shared<vlalign::ClipTokenizer>(std::vector<vlalign::ClipTokenizer::Merge>{});
  auto policy =
      vla::Policy::create(vlalign::DualEncoder::create(config, tokenizer, seed),
                          {.fusion = "pointing", .head = "l1", .actions = {.horizon = 4, .dims = 4}, .state = 4});
  policy.train(false);
  return policy;
}

TEST(RollOut, RunsEveryPolicyOnTheSameEpisodesAndToTheSameEndTwice) {
  Camera camera(64, 64);
  const RolloutOptions options{.cell = cell_named("unseen"), .episodes = 6};
  const auto first = roll_out(untrained(1), options, camera), again = roll_out(untrained(1), options, camera);
  const auto other = roll_out(untrained(2), options, camera);
  ASSERT_EQ(first.size(), 6U);
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].how, again[i].how);
    EXPECT_EQ(first[i].steps, again[i].steps);
    EXPECT_EQ(first[i].told, other[i].told);
    const auto& target = first[i].start.scene.objects[static_cast<std::size_t>(first[i].start.task.target)];
    EXPECT_TRUE(is_unseen(target.shape, target.colour));
  }
}

TEST(RollOut, AnEpisodeDoesNotDependOnThoseBesideIt) {
  Camera camera(64, 64);
  const auto policy = untrained(1);
  const auto all = roll_out(policy, {.episodes = 5}, camera);
  const auto one = roll_out(policy, {.first_episode = 3, .episodes = 1}, camera);
  EXPECT_EQ(one[0].episode, 3);
  EXPECT_EQ(one[0].told, all[3].told);
  EXPECT_EQ(one[0].steps, all[3].steps);
  EXPECT_EQ(one[0].how, all[3].how);
}

TEST(RollOut, AnUntrainedPolicyDoesNotSucceed) {
  Camera camera(64, 64);
  for (const auto& outcome : roll_out(untrained(1), {.episodes = 10}, camera))
    EXPECT_NE(outcome.how, Simulation::Outcome::success) << outcome.told;
}

TEST(RollOut, OtherObjectsAreThoseOfTheScene) {
  Camera camera(64, 64);
  const auto told = roll_out(untrained(1), {.control = Control::other_object, .episodes = 20}, camera);
  int changed = 0;
  for (const auto& outcome : told) changed += outcome.told != outcome.start.instruction;
  EXPECT_GE(changed, 10);  // 3 or 4 of 4 or 5 objects are others
}

TEST(RollOut, FilmsEachStepAndTheEnd) {
  Camera camera(64, 64), film(48, 48);
  const auto outcomes = roll_out(untrained(1), {.episodes = 1}, camera, &film);
  const auto steps = static_cast<std::size_t>(outcomes[0].steps);
  const bool over = outcomes[0].how != Simulation::Outcome::running;
  EXPECT_EQ(outcomes[0].film.size(), steps + (over ? 1 : 0));
  EXPECT_EQ(outcomes[0].film[0].width, 48);
}

TEST(RollOut, RefusesMoreStepsThanAChunkHas) {
  Camera camera(64, 64);
  EXPECT_THROW(roll_out(untrained(1), {.execute = 5}, camera), vlalign::Error);
  EXPECT_THROW(cell_named("new"), vlalign::Error);
}

TEST(MovingPicture, PutsFilmsBesideEachOther) {
  const vlalign::Image red{2, 1, {255, 0, 0, 255, 0, 0}}, blue{2, 1, {0, 0, 255, 0, 0, 255}};
  const auto strip = side_by_side({red, blue});
  EXPECT_EQ(strip.width, 6);  // a line of 2 pixels between them
  EXPECT_EQ(strip.rgb,
            (std::vector<std::uint8_t>{255, 0, 0, 255, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 255, 0, 0, 255}));
  const auto webp = moving({{red, blue}, {blue}});
  const auto* text = reinterpret_cast<const char*>(webp.data());
  EXPECT_EQ(std::string(text, 4), "RIFF");
  EXPECT_EQ(std::string(text + 8, 4), "WEBP");
  EXPECT_THROW(side_by_side({}), vlalign::Error);
}

}  // namespace
}  // namespace tabletop::rollout_test
