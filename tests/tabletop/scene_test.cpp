#include "tabletop/scene.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

namespace tabletop::scene_test {
namespace {

constexpr std::uint64_t seeds = 300;

EpisodeStart demonstration(std::uint64_t seed) { return make_episode(seed, Combinations::seen, Wording::demonstrated); }

TEST(Scene, EachColourIsOnceAndEachShapeOnceOrTwiceAmongTheUnseenPairs) {
  std::vector<int> of_shape(shapes().size()), of_colour(colours().size());
  for (int shape = 0; shape < std::ssize(of_shape); ++shape) {
    for (int colour = 0; colour < std::ssize(of_colour); ++colour) {
      of_shape[shape] += is_unseen(shape, colour) ? 1 : 0;
      of_colour[colour] += is_unseen(shape, colour) ? 1 : 0;
    }
  }
  for (const auto count : of_shape) EXPECT_TRUE(count == 1 || count == 2) << count;
  for (const auto count : of_colour) EXPECT_EQ(count, 1);
}

TEST(Scene, DemonstrationsShowNoUnseenPair) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    for (const auto& object : demonstration(seed).scene.objects) EXPECT_FALSE(is_unseen(object.shape, object.colour));
  }
}

TEST(Scene, TheTargetOfAnUnseenCellIsUnseen) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto [scene, task, instruction] = make_episode(seed, Combinations::unseen, Wording::demonstrated);
    EXPECT_TRUE(is_unseen(scene.objects[task.target].shape, scene.objects[task.target].colour));
  }
}

TEST(Scene, ObjectsDifferAndLieApart) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const auto objects = make_episode(seed, Combinations::all, Wording::demonstrated).scene.objects;
    EXPECT_TRUE(objects.size() == 4 || objects.size() == 5);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        EXPECT_TRUE(objects[i].shape != objects[j].shape || objects[i].colour != objects[j].colour);
        EXPECT_GE(std::hypot(objects[i].x - objects[j].x, objects[i].y - objects[j].y), 0.09);
      }
    }
  }
}

TEST(Scene, AnotherObjectSharesTheTargetsColourAndAnotherItsShape) {
  for (const auto cell : {Combinations::seen, Combinations::unseen, Combinations::all}) {
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      const auto [scene, task, instruction] = make_episode(seed, cell, Wording::demonstrated);
      const auto& target = scene.objects[task.target];
      const auto count = [&, &objects = scene.objects](auto member) {
        return std::count_if(objects.begin(), objects.end(),
                             [&](const auto& object) { return object.*member == target.*member; });
      };
      EXPECT_GE(count(&Object::colour), 2);
      EXPECT_GE(count(&Object::shape), 2);
    }
  }
}

TEST(Scene, EachObjectIsTheTargetAboutAsOften) {
  std::array<int, 5> targets{};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) ++targets[demonstration(seed).task.target];
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(targets[i], 225, 60);  // half of the scenes have 4, half 5
  EXPECT_NEAR(targets[4], 100, 45);
}

TEST(Scene, IsAFunctionOfItsArguments) {
  const auto one = demonstration(12);
  const auto same = demonstration(12);
  const auto other = demonstration(14);
  EXPECT_EQ(one.instruction, same.instruction);
  EXPECT_EQ(one.scene.objects[0].x, same.scene.objects[0].x);
  EXPECT_EQ(one.scene.light.position, same.scene.light.position);
  EXPECT_NE(one.scene.objects[0].x, other.scene.objects[0].x);
}

TEST(Scene, IsTheSameInBothWordings) {
  const auto one = demonstration(3);
  const auto other = make_episode(3, Combinations::seen, Wording::paraphrase);
  EXPECT_EQ(one.scene.objects[1].yaw, other.scene.objects[1].yaw);
  EXPECT_EQ(one.task.target, other.task.target);
  EXPECT_NE(one.instruction, other.instruction);
}

TEST(Scene, HalfOfTheTasksArePushes) {
  EXPECT_EQ(demonstration(0).task.skill, Skill::grasp);
  EXPECT_EQ(demonstration(1).task.skill, Skill::push);
}

TEST(Scene, OfFewerObjectsKeepsItsTarget) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto whole = demonstration(seed);
    const auto& target = whole.scene.objects[whole.task.target];
    for (const std::int64_t count : {1, 3, 9}) {
      auto fewer = whole;
      keep_objects(fewer, count);
      EXPECT_EQ(std::ssize(fewer.scene.objects), std::min(count, std::ssize(whole.scene.objects)));
      const auto& kept = fewer.scene.objects[fewer.task.target];
      EXPECT_EQ(std::tie(kept.shape, kept.colour, kept.x, kept.y),
                std::tie(target.shape, target.colour, target.x, target.y));
    }
  }
}

}  // namespace
}  // namespace tabletop::scene_test
