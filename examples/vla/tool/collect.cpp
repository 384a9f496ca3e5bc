// tabletop collect: frames with descriptions, and demonstrations.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "../camera.hpp"
#include "../expert.hpp"
#include "../shards.hpp"
#include "../words.hpp"
#include "commands.hpp"
#include "core/check.hpp"

namespace tabletop {
namespace {

using nlohmann::json;
using vlalign::Rng;

constexpr int records_a_shard = 4000;

struct Settings {
  std::string out;
  int episodes = 600, frames = 12000, test_frames = 500;
  std::uint64_t seed = 1;
  int size = 64;
  bool with_poses = false;
};

// Seeds of their own for each use, far from those of evaluations.
std::uint64_t episode_seed(const Settings& s, int i) { return (s.seed << 40) + static_cast<std::uint64_t>(i); }
std::uint64_t frame_seed(const Settings& s, int i) { return episode_seed(s, i) + (1ULL << 32); }
std::uint64_t test_seed(int i) { return (1ULL << 60) + static_cast<std::uint64_t>(i); }

Scene as_it_is(const Simulation& simulation, Scene scene) {
  for (std::size_t i = 0; i < scene.objects.size(); ++i) {
    const auto place = simulation.position(static_cast<int>(i));
    scene.objects[i].x = place[0];
    scene.objects[i].y = place[1];
  }
  return scene;
}

/// The scene of a frame anywhere in the life of a table, and what is going on in it.
void write_frame(ShardWriter& shards, Camera& camera, std::uint64_t seed, int number) {
  Rng rng({seed, 0x6672616d65});
  const auto start = make_episode(seed, Combinations::all, Wording::demonstrated);
  Simulation simulation(start);
  Expert expert(start, seed);
  const auto steps = rng.chance(0.5) ? 0 : rng.below(20);
  for (int i = 0; i < steps && simulation.outcome() == Simulation::Outcome::running; ++i)
    simulation.step(expert.act(simulation));
  Doing doing{.object = start.task.target, .side = start.task.side};
  if (simulation.held() == doing.object) doing.what = Doing::What::holding;
  if (start.task.skill == Skill::push && simulation.is_stick() && simulation.state()[2] < 0.04F)
    doing.what = Doing::What::pushing;
  const auto png = encode_png(camera.render(simulation));
  const json record{{"caption", descriptions(as_it_is(simulation, start.scene), doing, rng)}};
  shards.add(fmt::format("{:06}", number), png, record.dump());
}

void write_frames(const Settings& s, Camera& camera) {
  ShardWriter train(s.out, "frames"), test(s.out, "test-frames");
  for (int i = 0; i < s.frames; ++i) {
    if (i > 0 && i % records_a_shard == 0) train.next_shard();
    write_frame(train, camera, frame_seed(s, i), i);
  }
  train.finish();
  for (int i = 0; i < s.test_frames; ++i) write_frame(test, camera, test_seed(i), i);
  test.finish();
}

struct Step {
  std::vector<std::byte> png;
  json record;
};

/// One demonstration; empty where the expert failed.
std::vector<Step> demonstrate(const Settings& s, Camera& camera, std::uint64_t seed) {
  const auto start = make_episode(seed, Combinations::seen, Wording::demonstrated);
  Simulation simulation(start);
  Expert expert(start, seed);
  Rng rng({seed, 0x6b6e6f636b});
  std::vector<Step> steps;
  while (simulation.outcome() == Simulation::Outcome::running && simulation.steps() < max_steps) {
    if (rng.chance(0.04)) simulation.knock(rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03));
    std::vector<float> state;
    for (const float number : simulation.state()) state.push_back(number);
    if (s.with_poses) {
      const auto place = simulation.position(start.task.target);
      state.insert(state.end(), {static_cast<float>(place[0]), static_cast<float>(place[1])});
    }
    auto png = encode_png(camera.render(simulation));
    const auto action = expert.act(simulation);
    steps.push_back({std::move(png),
                     {{"step", simulation.steps()},
                      {"instruction", start.instruction},
                      {"state", state},
                      {"action", action},
                      {"caption", descriptions(as_it_is(simulation, start.scene), {}, rng)}}});
    simulation.step(action);
  }
  if (simulation.outcome() != Simulation::Outcome::success) steps.clear();
  return steps;
}

struct Counts {
  int episodes = 0, failed = 0;
  std::int64_t steps = 0;
};

Counts write_demonstrations(const Settings& s, Camera& camera) {
  ShardWriter shards(s.out, s.with_poses ? "demos-with-poses" : "demos");
  Counts counts;
  std::int64_t in_shard = 0;
  for (int i = 0; counts.episodes < s.episodes; ++i) {
    auto steps = demonstrate(s, camera, episode_seed(s, i));
    if (steps.empty()) {
      ++counts.failed;
      continue;
    }
    if (in_shard + std::ssize(steps) > records_a_shard) shards.next_shard(), in_shard = 0;
    const auto name = fmt::format("{:06}", counts.episodes++);
    for (auto& step : steps) {
      step.record["episode"] = name;
      shards.add(fmt::format("{}-{:02}", name, step.record["step"].get<int>()), step.png, step.record.dump());
    }
    in_shard += std::ssize(steps);
    counts.steps += std::ssize(steps);
  }
  shards.finish();
  return counts;
}

void collect(const Settings& s) {
  const auto begin = std::chrono::steady_clock::now();
  Camera camera(s.size, s.size);
  if (s.frames > 0) write_frames(s, camera);
  const auto counts = s.episodes > 0 ? write_demonstrations(s, camera) : Counts{};
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{}: {} frames, {} to test with, {} demonstrations of {} steps ({} failed), in {:.0f} s\n", s.out,
             s.frames, s.frames > 0 ? s.test_frames : 0, counts.episodes, counts.steps, counts.failed, took.count());
}

}  // namespace

void add_collect(CLI::App& program) {
  auto* command =
      program.add_subcommand("collect", "Writes frames with descriptions, and demonstrations, as tar shards");
  const auto s = std::make_shared<Settings>();
  command->add_option("--out", s->out, "the folder for frames-000.tar, ..., test-frames-000.tar, demos-000.tar, ...")
      ->required();
  command->add_option("--episodes", s->episodes, "demonstrations that succeed")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--frames", s->frames, "frames for alignment")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--seed", s->seed, "of scenes and words")->capture_default_str();
  command->add_option("--size", s->size, "pixels a side")->check(CLI::Range(16, 512))->capture_default_str();
  command->add_flag("--with-poses", s->with_poses,
                    "the target's true place in the state: demos-with-poses-000.tar, ...");
  command->callback([s] { collect(*s); });
}

}  // namespace tabletop
