#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "tabletop/camera.hpp"
#include "tabletop/expert.hpp"
#include "tabletop/tool/commands.hpp"
#include "tabletop/tool/tar_writer.hpp"
#include "tabletop/tool/worker.hpp"

namespace tabletop::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct CollectSettings {
  std::string out;
  std::int64_t episodes = 1000;
  std::int64_t frames = 10000;
  std::uint64_t seed = 0;
  int size = 64;
  int processes = 2;
  double noise = 1;
  std::int64_t objects = 5;
  bool with_poses = false;
};

struct Record {
  std::string name;
  std::vector<std::uint8_t> png;
  std::string text;
};
using Records = std::vector<Record>;

// Of an episode or a frame; `failures` counts the demonstrations thrown away for it.
struct Item {
  Records records;
  int failures = 0;
};

constexpr std::int64_t items_per_shard = 1000;
constexpr std::int64_t frames_per_item = 10;

// Written into the folder; equal stamps mean equal data. Count up "format" when the data made from the same settings
// changes.
constexpr const char* stamp_name = "tabletop.json";

std::string stamp(const CollectSettings& s) {
  return json{{"format", 3},    {"episodes", s.episodes}, {"frames", s.frames},   {"seed", s.seed},
              {"size", s.size}, {"noise", s.noise},       {"objects", s.objects}, {"with_poses", s.with_poses}}
             .dump(2) +
         "\n";
}

// Those of evaluation are below 2^32 and so never among them.
std::uint64_t episode_seed(const CollectSettings& settings, bool is_frame, int attempt, std::int64_t item) {
  return (settings.seed + 1) << 40 | std::uint64_t{is_frame} << 39 | static_cast<std::uint64_t>(attempt) << 32 |
         static_cast<std::uint64_t>(item);
}

std::vector<std::uint8_t> picture(const Simulation& simulation, Camera& camera) {
  const auto png = vlalign::encode_png(camera.render(simulation));
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(png.data());
  return {bytes, bytes + png.size()};
}

bool is_running(const Simulation& simulation) {
  return simulation.outcome() == Simulation::Outcome::running && simulation.steps() < max_steps;
}

Records demonstrate(const EpisodeStart& start, std::uint64_t seed, const std::string& episode,
                    const CollectSettings& settings, Camera& camera, bool& succeeds) {
  Records records;
  Simulation simulation(start);
  Expert expert(start, seed, settings.noise);
  vlalign::Rng rng({seed, 0x776f726473});
  while (is_running(simulation)) {
    const auto [x, y, z] = simulation.position(start.task.target);
    const auto felt = simulation.state();
    std::vector<float> state(felt.begin(), felt.end());
    if (settings.with_poses) state.insert(state.end(), {static_cast<float>(x), static_cast<float>(y)});
    const json text{{"episode", episode},
                    {"step", simulation.steps()},
                    {"instruction", start.instruction},
                    {"state", state},
                    {"action", expert.wanted(simulation)},
                    {"caption", descriptions(simulation.scene(), rng)}};
    records.push_back({fmt::format("{}-{:04}", episode, simulation.steps()), picture(simulation, camera), text.dump()});
    simulation.step(expert.act(simulation));
  }
  succeeds = simulation.outcome() == Simulation::Outcome::success;
  return records;
}

Item make_episode_records(std::int64_t index, const CollectSettings& settings, Camera& camera) {
  for (Item item;; ++item.failures) {
    const auto seed = episode_seed(settings, false, item.failures, index);
    auto start = make_episode(seed, Combinations::seen, Wording::demonstrated);
    keep_objects(start, settings.objects);
    bool succeeds = false;
    item.records = demonstrate(start, seed, fmt::format("{:06}", index), settings, camera, succeeds);
    if (succeeds) return item;
  }
}

// A scene of one to five objects in the middle of anything: the gripper begins anywhere and goes for any object, for a
// while.
Record make_frame(std::int64_t index, const CollectSettings& settings, Camera& camera) {
  const auto seed = episode_seed(settings, true, 0, index);
  auto start = make_episode(seed, Combinations::all, Wording::demonstrated);
  vlalign::Rng rng({seed, 0x6672616d65});
  auto& objects = start.scene.objects;
  objects.resize(1 + std::min(rng.below(std::ssize(objects)), rng.below(std::ssize(objects))));
  start.task.target = static_cast<int>(rng.below(std::ssize(objects)));
  start.scene.gripper = {rng.uniform(-0.22, 0.22), rng.uniform(-0.22, 0.22), rng.uniform(0.06, 0.16)};
  Simulation simulation(start);
  Expert expert(start, seed, 1);
  const auto is_in_view = [&] {
    const auto [x, y, z] = simulation.position(start.task.target);
    return std::max(std::abs(x), std::abs(y)) < 0.2;
  };
  for (auto steps = rng.below(24); steps > 0 && is_in_view(); --steps) simulation.step(expert.act(simulation));
  const json text{{"caption", descriptions(simulation.scene(), rng)}};
  return {fmt::format("{:06}", index), picture(simulation, camera), text.dump()};
}

using Make = std::function<Item(std::int64_t item, Camera& camera)>;

json as_json(const Item& item) {
  auto records = json::array();
  for (const auto& [name, png, text] : item.records) records.push_back({name, json::binary(png), text});
  return {{"records", records}, {"failures", item.failures}};
}

Item as_item(const json& value) {
  Item item{.records = {}, .failures = value.at("failures")};
  for (const auto& record : value.at("records"))
    item.records.push_back({record.at(0), record.at(1).get_binary(), record.at(2)});
  return item;
}

/// Items 0 to count one after the other, each made by the next of several processes.
class Items {
 public:
  Items(std::int64_t count, const CollectSettings& settings, const Make& make) {
    for (int process = 0; process < settings.processes; ++process) {
      processes_.push_back(std::make_unique<Worker>([&](const Worker::Send& send) {
        Camera camera(settings.size, settings.size);
        for (std::int64_t i = process; i < count; i += settings.processes) send(as_json(make(i, camera)));
      }));
    }
  }

  Item next() { return as_item(processes_[static_cast<std::size_t>(taken_++) % processes_.size()]->next()); }

 private:
  std::vector<std::unique_ptr<Worker>> processes_;
  std::int64_t taken_ = 0;
};

struct Counts {
  std::int64_t records = 0;
  std::int64_t failures = 0;
};

// stem-000.tar, stem-001.tar, ...
Counts write_shards(const fs::path& folder, const std::string& stem, std::int64_t items,
                    const CollectSettings& settings, const Make& make) {
  Counts counts;
  Items made(items, settings, make);
  for (std::int64_t first = 0; first < items; first += items_per_shard) {
    TarWriter tar(folder / fmt::format("{}-{:03}.tar", stem, first / items_per_shard));
    for (auto i = first; i < std::min(first + items_per_shard, items); ++i) {
      const auto item = made.next();
      for (const auto& record : item.records) {
        tar.add(record.name + ".png", std::as_bytes(std::span(record.png)));
        tar.add(record.name + ".json", std::as_bytes(std::span(record.text)));
      }
      counts.records += std::ssize(item.records);
      counts.failures += item.failures;
    }
    tar.close();
  }
  return counts;
}

Counts write_demonstrations(const fs::path& folder, const CollectSettings& settings) {
  return write_shards(folder, "demos", settings.episodes, settings, [&](std::int64_t episode, Camera& camera) {
    return make_episode_records(episode, settings, camera);
  });
}

Counts write_frames(const fs::path& folder, const CollectSettings& settings) {
  const auto items = (settings.frames + frames_per_item - 1) / frames_per_item;
  return write_shards(folder, "frames", items, settings, [&](std::int64_t item, Camera& camera) {
    Item frames;
    const auto end = std::min(settings.frames, (item + 1) * frames_per_item);
    for (auto i = item * frames_per_item; i < end; ++i) frames.records.push_back(make_frame(i, settings, camera));
    return frames;
  });
}

// Only what was collected before may go.
std::string misfit_of(const fs::path& folder) {
  for (const auto& path : vlalign::entries_of(folder)) {
    const bool ours = path.filename() == stamp_name || path.extension() == ".tar";
    if (!ours || vlalign::is_folder(path)) return path.filename().string() + " is in it";
  }
  return vlalign::is_there(folder / stamp_name) ? "" : fmt::format("no {} is in it", stamp_name);
}

bool is_there_already(const CollectSettings& settings) {
  const auto file = fs::path(settings.out) / stamp_name;
  return vlalign::is_there(file) && vlalign::read_file(file) == stamp(settings);
}

void collect(const CollectSettings& settings) {
  if (is_there_already(settings)) {
    fmt::print("{}: made before with the same settings, reused\n", settings.out);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  Counts demonstrations;
  Counts frames;
  vlalign::write_folder_atomically(settings.out, {"a folder of demonstrations", misfit_of},
                                   [&](const fs::path& folder) {
                                     demonstrations = write_demonstrations(folder, settings);
                                     frames = write_frames(folder, settings);
                                     vlalign::write_file_atomically(folder / stamp_name, stamp(settings));
                                   });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  fmt::print("{}: {} demonstrations of {} steps ({} more failed and were left out), {} frames, {:.1f} s\n",
             settings.out, settings.episodes, demonstrations.records, demonstrations.failures, frames.records,
             seconds.count());
}

}  // namespace

void add_collect(CLI::App& program) {
  auto& command = *program.add_subcommand("collect", "Writes demonstrations, and frames with captions, as tar shards.");
  auto settings = std::make_shared<CollectSettings>();
  const auto count = CLI::Range(std::int64_t{0}, std::int64_t{1000000});
  command.add_option("--out", settings->out, "the folder to make")->required();
  command.add_option("--episodes", settings->episodes, "demonstrations")->check(count)->capture_default_str();
  command.add_option("--frames", settings->frames, "frames with captions")->check(count)->capture_default_str();
  command.add_option("--seed", settings->seed, "of everything drawn")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  command.add_option("--size", settings->size, "pixels a side")->check(CLI::Range(16, 512))->capture_default_str();
  command.add_option("--noise", settings->noise, "of the expert's hand; 0: none")
      ->check(CLI::Range(0.0, 2.0))
      ->capture_default_str();
  command.add_option("--objects", settings->objects, "the most that a demonstration's scene has")
      ->check(CLI::Range(1, 5))
      ->capture_default_str();
  command.add_flag("--with-poses", settings->with_poses, "the target's true x and y behind the gripper's state");
  command.add_option("--processes", settings->processes, "that simulate and draw")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command.callback([settings] {
    while (settings->out.size() > 1 && settings->out.ends_with('/')) settings->out.pop_back();
    collect(*settings);
  });
}

}  // namespace tabletop::tool
