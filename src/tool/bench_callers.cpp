#include <fmt/format.h>

#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tool/bench.hpp"
#include "tool/bench_model.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/model/batch_encoder.hpp"
#include "vlalign/model/live_encoder.hpp"

namespace vlalign::tool {
namespace {

struct CallersFlags : RunFlags {
  std::string model = "ViT-B-32";
  int callers = 4;
  std::int64_t most = 8, delay_us = 2000;
  double seconds = 5;
  bool texts = false;
};

/// Embeds number `i` of a caller's frames or texts.
using Ask = std::function<void(std::int64_t i, std::span<float> out)>;

struct CallerRate {
  double per_second, p50_ms, p99_ms;
};

/// Of callers that ask again as soon as they are answered.
CallerRate rate_of(const CallersFlags& flags, std::int64_t dim, const Ask& ask) {
  std::vector<double> times;
  std::mutex mutex;
  const auto all = seconds_of([&] {
    std::vector<std::jthread> callers;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(flags.seconds);
    for (int caller = 0; caller < flags.callers; ++caller)
      callers.emplace_back([&, caller] {
        std::vector<float> out(static_cast<std::size_t>(dim));
        for (auto i = std::int64_t{caller}; std::chrono::steady_clock::now() < end; i += flags.callers) {
          const auto seconds = seconds_of([&] { ask(i, out); });
          const std::lock_guard lock(mutex);
          times.push_back(seconds);
        }
      });
  });
  return {static_cast<double>(times.size()) / all, 1000 * quantile(times, 0.5), 1000 * quantile(times, 0.99)};
}

template <typename Encoder>
Ask asking(const Encoder& encoder, const Image& frame, bool texts) {
  if (!texts) return [&](std::int64_t, std::span<float> out) { encoder.embed(ImageView(frame), out); };
  return [&](std::int64_t i, std::span<float> out) {
    encoder.embed(fmt::format("pick up the red cup, try {}", i), out);  // each another, so that none is kept
  };
}

Image noise(int width, int height) {
  Image frame{width, height, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
  Rng rng({0});
  for (auto& value : frame.rgb) value = static_cast<std::uint8_t>(rng.below(256));
  return frame;
}

/// Each encoder's name and figures.
using CallerRates = std::vector<std::pair<std::string, CallerRate>>;

CallerRates measured(const CallersFlags& flags) {
  auto model = make_bench_model(flags.model).model;
  if (flags.precision == "int8") prepare_with_noise(model);
  model.to(parse_device(flags.device));
  const auto precision = parse_precision(flags.precision);
  const auto frame = noise(640, 480);
  CallerRates rates;
  const auto measure = [&](const char* what, const Ask& ask) {
    std::vector<float> out(static_cast<std::size_t>(model.config().embed_dim));
    for (int i = 0; i < 3; ++i) ask(-1 - i, out);
    rates.emplace_back(what, rate_of(flags, model.config().embed_dim, ask));
  };
  const LiveEncoder one_thread_each(model, {.precision = precision, .threads = 1, .kept_texts = 1});
  measure("one LiveEncoder, a thread a call", asking(one_thread_each, frame, flags.texts));
  const LiveEncoder all_threads(model, {.precision = precision, .kept_texts = 1});
  std::mutex mutex;
  measure("one LiveEncoder behind a mutex", [&](std::int64_t i, std::span<float> out) {
    const std::lock_guard lock(mutex);
    asking(all_threads, frame, flags.texts)(i, out);
  });
  const std::chrono::microseconds delay(flags.delay_us);
  const BatchEncoder batches(model, {.precision = precision, .most = flags.most, .delay = delay, .kept_texts = 1});
  measure("BatchEncoder", asking(batches, frame, flags.texts));
  return rates;
}

void run_callers(const CallersFlags& flags) {
  flags.apply();
  const auto rates = measured(flags);
  nlohmann::ordered_json result;
  for (const auto& [what, rate] : rates) {
    result[what] = {{"per_s", rate.per_second}, {"p50_ms", rate.p50_ms}, {"p99_ms", rate.p99_ms}};
    if (flags.json) continue;
    fmt::print("{:<34} {:7.1f} a second, p50 {:7.1f} ms, p99 {:7.1f} ms\n", what, rate.per_second, rate.p50_ms,
               rate.p99_ms);
  }
  if (flags.json) print_json(result);
}

}  // namespace

void add_bench_callers(CLI::App& bench) {
  auto* command = bench.add_subcommand("callers", "Several threads that embed frames, or texts, at once");
  const auto flags = std::make_shared<CallersFlags>();
  command->add_option("--model", flags->model, "Preset")->capture_default_str();
  command->add_option("--callers", flags->callers, "Threads that ask")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--most", flags->most, "Frames of a batch")->check(CLI::Range(1, 4096))->capture_default_str();
  command->add_option("--delay-us", flags->delay_us, "How long a batch waits for more, in microseconds")
      ->check(CLI::Range(0, 60'000'000))
      ->capture_default_str();
  command->add_option("--seconds", flags->seconds, "Of each measurement")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_flag("--texts", flags->texts, "Texts instead of frames");
  flags->add(*command);
  command->callback([flags] { run_callers(*flags); });
}

}  // namespace vlalign::tool
