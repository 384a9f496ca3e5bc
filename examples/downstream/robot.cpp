// A robot's control loop on an installed vlalign:
//
//   robot RUN "push the red block to the left"
//
// RUN is a policy's training run. A newer checkpoint of it is taken up between two steps. Ctrl-C stops the robot.
//
//   robot                          acts for two seconds on an untrained policy, which only shows that everything runs
//   robot --untrained RUN NAME     writes one as checkpoint NAME of RUN, to try the rest with
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>
#include <vlalign/core/error.hpp>
#include <vlalign/core/latency_histogram.hpp>
#include <vlalign/tokenizers/tokenizer.hpp>
#include <vlalign/vla/live_policy.hpp>

#include "camera.hpp"
#include "checkpoints.hpp"

namespace {

namespace vla = vlalign::vla;
using Clock = std::chrono::steady_clock;

constexpr double camera_hertz = 30, control_hertz = 10;
std::atomic<bool> stopped = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal's handler writes it");

/// What a real robot does instead.
void read_state(std::vector<float>& state) {
  for (auto& joint : state) joint = 0;
}
void send([[maybe_unused]] const std::vector<float>& action) {}

/// A policy that has been told what to do and has acted once, since the first time takes longer.
vla::LivePolicy made_ready(const vla::Policy& policy, const std::string& instruction) {
  // One thread: several wait for each other at every operator, for seconds where something else keeps a core busy.
  // A NaN from a sensor holds the last action for that step; whether that is safe depends on what the actions are.
  vla::LivePolicy live(policy, {.threads = 1, .ensemble = 0.01, .on_bad = vla::LivePolicyOptions::OnBad::hold});
  live.set_instruction(instruction);
  const std::vector<std::uint8_t> grey(640 * 480, 128);
  const std::vector<float> state(static_cast<std::size_t>(policy.config().state));
  std::vector<float> action(static_cast<std::size_t>(policy.config().actions.dims));
  live.act({grey, 640, 480, vlalign::ImageView::Format::grey}, state, action);
  live.reset();
  live.reset_latency();
  return live;
}

/// What doesn't change from one checkpoint to the next.
struct Shape {
  std::size_t state, action;
  explicit Shape(const vla::PolicyConfig& config)
      : state(static_cast<std::size_t>(config.state)), action(static_cast<std::size_t>(config.actions.dims)) {}
  bool operator==(const Shape&) const = default;
};

void print(const char* what, const vlalign::LatencyHistogram& latency) {
  std::printf("%-22s p50 %6.1f ms, p99 %6.1f ms, %lld times\n", what, 1000 * latency.quantile(0.5),
              1000 * latency.quantile(0.99), static_cast<long long>(latency.count()));
}

/// Acts until it is stopped or `end` comes, once every 1 / control_hertz seconds.
void control(vla::LivePolicy policy, const Shape& shape, Checkpoints* checkpoints,
             std::optional<Clock::time_point> end) {
  Camera camera(camera_hertz);
  std::vector<float> state(shape.state), action(shape.action);
  vlalign::LatencyHistogram steps;
  std::int64_t late = 0;
  const auto period = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / control_hertz));
  for (auto due = Clock::now() + period; !stopped && !(end && Clock::now() >= *end); due += period) {
    if (auto newer = checkpoints ? checkpoints->take() : std::nullopt) policy = std::move(*newer);
    const auto start = Clock::now();
    read_state(state);
    policy.act(camera.newest(), state, action);
    send(action);
    const auto now = Clock::now();
    steps.record(std::chrono::duration<double>(now - start).count());
    if (now > due) ++late, due = now;  // a step that was missed isn't made up for
    std::this_thread::sleep_until(due);
  }
  print("frame to action", steps);
  print("  of it preprocessing", policy.latency().preprocess);
  print("  of it the policy", policy.latency().policy);
  std::printf("%lld steps held the action before\n", static_cast<long long>(policy.held()));
  std::printf("%lld steps took longer than %.0f ms\n", static_cast<long long>(late), 1000 / control_hertz);
}

vla::Policy untrained() {
  const std::vector<std::string> words{"push the red block", "stay"};
  const auto encoder = vlalign::DualEncoder::create("tiny", vlalign::train_tokenizer(words, 520));
  return vla::Policy::create(encoder, {.head = "l1", .actions = {.horizon = 8, .dims = 4}, .state = 4});
}

void write_untrained(const std::filesystem::path& run, const std::string& name) {
  std::filesystem::create_directories(run / "checkpoints");
  untrained().save(run / "checkpoints" / name);
  std::ofstream(run / "checkpoints" / "latest") << name << "\n";
}

void act_untrained() {
  const auto policy = untrained();
  const auto end = Clock::now() + std::chrono::seconds(2);
  control(made_ready(policy, "push the red block"), Shape(policy.config()), nullptr, end);
}

void act_from(const std::filesystem::path& run, const std::string& instruction) {
  const auto running = Checkpoints::newest(run);
  const auto first = vla::Policy::load(running);
  const Shape shape(first.config());
  Checkpoints checkpoints(run, running, [&](const std::filesystem::path& folder) {
    const auto policy = vla::Policy::load(folder);
    if (Shape(policy.config()) != shape) throw vlalign::Error(folder.string() + ": another robot's policy");
    return made_ready(policy, instruction);
  });
  control(made_ready(first, instruction), shape, &checkpoints, {});
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, [](int) { stopped = true; });
  try {
    if (argc == 1) {
      act_untrained();
    } else if (argc == 3) {
      act_from(argv[1], argv[2]);
    } else if (argc == 4 && std::string(argv[1]) == "--untrained") {
      write_untrained(argv[2], argv[3]);
    } else {
      std::fprintf(stderr, "robot RUN \"an instruction\"\n");
      return 2;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
