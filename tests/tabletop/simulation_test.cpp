#include "tabletop/simulation.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "support/temp_folder.hpp"
#include "tabletop/camera.hpp"
#include "tabletop/expert.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace tabletop::simulation_test {
namespace {

using Action = std::array<float, action_size>;
using Outcome = Simulation::Outcome;

constexpr std::array cells{Combinations::seen, Combinations::unseen, Combinations::all};

EpisodeStart start_of(std::uint64_t seed, Combinations cell = Combinations::all) {
  return make_episode(seed, cell, Wording::demonstrated);
}

bool is_running(const Simulation& simulation) {
  return simulation.outcome() == Outcome::running && simulation.steps() < max_steps;
}

// What comes of an expert who does the task `told` in the scene of `start`.
Outcome outcome_of(const EpisodeStart& start, const EpisodeStart& told, double noise = 0) {
  Simulation simulation(start);
  Expert expert(told, 5, noise);
  while (is_running(simulation)) simulation.step(expert.act(simulation));
  return simulation.outcome();
}

// Moves the gripper to a place and leaves it there for a while.
void go(Simulation& simulation, std::array<double, 3> place, float grip) {
  for (int step = 0; step < 60; ++step) {
    const auto state = simulation.state();
    Action action{0, 0, 0, grip};
    for (int axis = 0; axis < 3; ++axis) action[axis] = static_cast<float>((place[axis] - state[axis]) / largest_step);
    simulation.step(action);
  }
}

TEST(Simulation, TheSameActionsGiveTheSameBitsAndPictures) {
  Camera camera(64, 64);
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    Simulation one(start_of(seed));
    Simulation other(start_of(seed));
    vlalign::Rng rng({seed});
    for (int step = 0; step < 30; ++step) {
      const auto draw = [&] { return static_cast<float>(rng.uniform(-1, 1)); };
      const Action action{draw(), draw(), draw() - 0.4F, draw() + 0.5F};
      one.step(action);
      other.step(action);
      ASSERT_EQ(one.state(), other.state());
      for (int i = 0; i < 4; ++i) ASSERT_EQ(one.position(i), other.position(i));
    }
    EXPECT_EQ(camera.render(one).rgb, camera.render(other).rgb);
    EXPECT_EQ(camera.render(one).rgb, Camera(64, 64).render(other).rgb);
  }
}

TEST(Simulation, TheExpertSucceedsInEveryCell) {
  for (const auto cell : cells) {
    int successes = 0;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      const auto start = start_of(seed, cell);
      successes += outcome_of(start, start, 1) == Outcome::success ? 1 : 0;
    }
    EXPECT_GE(successes, 58);
  }
}

TEST(Simulation, DoingNothingNeverSucceeds) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Simulation simulation(start_of(seed));
    while (is_running(simulation)) simulation.step(Action{0, 0, 0, seed % 4 < 2 ? 1.0F : -1.0F});
    EXPECT_EQ(simulation.outcome(), Outcome::running);
    EXPECT_EQ(simulation.steps(), max_steps);
  }
}

TEST(Simulation, LiftingAnotherObjectIsTheWrongObject) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto start = start_of(seed);
    auto told = start;
    told.task.skill = Skill::grasp;
    told.task.target = (start.task.target + 1) % static_cast<int>(start.scene.objects.size());
    EXPECT_EQ(outcome_of(start, told), Outcome::wrong_object) << seed;
  }
}

TEST(Simulation, APushToAnotherSideIsNoSuccess) {
  for (std::uint64_t seed = 1; seed < 60; seed += 2) {
    const auto start = start_of(seed);
    auto told = start;
    for (int turn = 1; turn < 4; ++turn) {
      told.task.side = static_cast<Side>((static_cast<int>(start.task.side) + turn) % 4);
      EXPECT_NE(outcome_of(start, told), Outcome::success) << seed;
    }
  }
}

TEST(Simulation, LiftingWhatIsToBePushedIsNoSuccess) {
  for (std::uint64_t seed = 1; seed < 20; seed += 2) {
    const auto start = start_of(seed);
    auto told = start;
    told.task.skill = Skill::grasp;
    EXPECT_EQ(outcome_of(start, told), Outcome::running) << seed;
  }
}

TEST(Simulation, TheOutcomeIsFinal) {
  const auto start = start_of(0);
  Simulation simulation(start);
  Expert expert(start, 0, 0);
  while (is_running(simulation)) simulation.step(expert.act(simulation));
  ASSERT_EQ(simulation.outcome(), Outcome::success);
  for (int step = 0; step < 5; ++step) simulation.step(Action{0, 0, 0, -1});
  EXPECT_NEAR(simulation.position(start.task.target)[2], 0, 0.005);  // dropped
  EXPECT_EQ(simulation.outcome(), Outcome::success);
}

TEST(Simulation, WhatIsHeldGoesWithTheGripperUntilItOpens) {
  const auto start = start_of(0);
  Simulation simulation(start);
  const auto [x, y, z] = simulation.position(0);
  go(simulation, {x + 0.01, y, 0.01}, -1);
  go(simulation, {x + 0.01, y, 0.01}, 1);
  EXPECT_FLOAT_EQ(simulation.state()[3], 0.25F);
  EXPECT_TRUE(simulation.scene().objects[0].is_held);
  go(simulation, {0.05, -0.05, 0.11}, 1);
  const auto held = simulation.position(0);
  EXPECT_NEAR(held[0], 0.04, 1e-4);
  EXPECT_NEAR(held[1], -0.05, 1e-4);
  EXPECT_NEAR(held[2], 0.1, 1e-3);         // it lay as much lower as its weight presses it into the table
  go(simulation, {x + 0.01, y, 0.11}, 1);  // where there is room on the table
  go(simulation, {x + 0.01, y, 0.11}, -1);
  EXPECT_NEAR(simulation.position(0)[2], 0, 0.005);
  EXPECT_FALSE(simulation.scene().objects[0].is_held);
}

TEST(Simulation, AGripperThatClosesTooHighOrTooFarHoldsNothing) {
  const auto start = start_of(0);
  for (const auto& [aside, height] : {std::pair{0.0, 0.05}, std::pair{0.05, 0.01}}) {
    Simulation simulation(start);
    const auto [x, y, z] = simulation.position(0);
    go(simulation, {x + aside, y, height}, -1);
    go(simulation, {x + aside, y, height}, 1);
    EXPECT_EQ(simulation.state()[3], 0);
    go(simulation, {x + aside, y, 0.12}, 1);
    EXPECT_NEAR(simulation.position(0)[2], 0, 0.005);
  }
}

TEST(Simulation, AStepMovesTheGripperByTheLargestStepAtMost) {
  auto start = start_of(0);
  start.scene.gripper = {0, 0, 0.1};
  Simulation simulation(start);
  simulation.step(Action{0.5F, -7, 1, -1});
  const auto state = simulation.state();
  EXPECT_NEAR(state[0], 0.5 * largest_step, 1e-6);
  EXPECT_NEAR(state[1], -largest_step, 1e-6);
  EXPECT_NEAR(state[2], 0.1 + largest_step, 1e-6);
  EXPECT_EQ(state[3], 1);
  EXPECT_EQ(simulation.steps(), 1);
}

TEST(Simulation, RefusesActionsOfAnotherLengthOrNotFinite) {
  Simulation simulation(start_of(0));
  const auto message = [&](std::vector<float> action) {
    return vlalign::test::message_of<vlalign::Error>([&] { simulation.step(action); });
  };
  EXPECT_EQ(message({1, 2, 3}), "[Simulation::step] action: expected 4 numbers, got 3");
  EXPECT_EQ(message({0, std::numeric_limits<float>::quiet_NaN(), 0, 0}),
            "[Simulation::step] action: expected finite numbers, got nan");
}

}  // namespace
}  // namespace tabletop::simulation_test
